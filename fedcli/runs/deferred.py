"""Holds SIGINT, SIGTERM and SIGHUP back while a few files are written that belong together."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Delivers signals that arrive while the block runs when the block has ended.

    A signal mask would not do: TensorFlow's threads take the signal then, and Python still runs its handler in the main
    thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    arrived: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    # A signal that is ignored, as SIGHUP is under nohup, stays so.
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, defer) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: a handler that was not installed from Python, which Python cannot install again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for signal_number in arrived:
            os.kill(os.getpid(), signal_number)
