"""Ends a run in good order: after the round on Ctrl-C or a scheduler's SIGTERM, at once on the second."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether the run was asked to stop after its round."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def __bool__(self) -> bool:
        return self.signal_name is not None


@contextmanager
def stop_after_round(on_first: Callable[[], None]) -> Iterator[StopRequest]:
    """Catches the first SIGINT or SIGTERM; the second raises KeyboardInterrupt.

    Args:
        on_first: Called at the first signal, to tell the user that it was heard.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request:
            raise KeyboardInterrupt
        request.signal_name = signal.Signals(number).name
        on_first()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
