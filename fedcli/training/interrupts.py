"""Ends a run in good order: after the round on Ctrl-C, a scheduler's SIGTERM or a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether the run was asked to stop after its round."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def __bool__(self) -> bool:
        return self.signal_name is not None


@contextmanager
def stop_after_round(on_first: Callable[[], None]) -> Iterator[StopRequest]:
    """Catches the first signal that asks to stop; the second raises KeyboardInterrupt.

    Args:
        on_first: Called at the first signal, to tell the user that it was heard.
    """
    request = StopRequest()

    def ask(name: str) -> None:
        request.signal_name = name
        on_first()

    with stop_signals(ask):
        yield request


@contextmanager
def stop_signals(ask: Callable[[str], None], stop_now: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Handles SIGINT, SIGTERM and SIGHUP while the block runs, if this is the main thread.

    The terminal's SIGHUP asks like the other two, unless the process was started with it ignored (nohup). It never
    counts as the second signal: a closing terminal sends it twice, from the shell and from the kernel, and a session
    that ends sends SIGTERM beside it.

    Args:
        ask: Called with the name of the first signal.
        stop_now: Called at the second SIGINT or SIGTERM, before the handler raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    asked = False
    is_repeated = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked, is_repeated
        if is_repeated and number != signal.SIGHUP:
            stop_now()
            raise KeyboardInterrupt
        is_repeated = is_repeated or number != signal.SIGHUP
        if not asked:
            asked = True
            ask(signal.Signals(number).name)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
