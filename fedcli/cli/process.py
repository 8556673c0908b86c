"""Handles Ctrl-C in the process of a command, from its first moment to its last. Imports next to nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_EXIT_CODE = 130
MESSAGE = "interrupted before anything began"
HINT = "start the command again"


def quit_on_interrupt() -> None:
    """Ends the process at Ctrl-C with two lines, where Python would show where in an import it was.

    A process that was started with Ctrl-C ignored, such as a script's background job, keeps ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _quit)


def _quit(number: int, frame: FrameType | None) -> None:
    # Python may be in the middle of any import: this needs no other module and no stream.
    if "--json" in sys.argv:
        document = '{\n  "error": {\n    "type": "Interrupted",\n    "message": "%s",\n    "hint": "%s",\n'
        text = (document + '    "exit_code": %d\n  }\n}\n') % (MESSAGE, HINT, _EXIT_CODE)
    else:
        text = f"error: {MESSAGE}\n  try: {HINT}\n"
    with suppress(OSError):
        os.write(1 if "--json" in sys.argv else 2, text.encode())
    os._exit(_EXIT_CODE)


@contextmanager
def interrupts_raised() -> Iterator[None]:
    """Lets Ctrl-C raise KeyboardInterrupt in the block, so that what was begun is put in order.

    After the block Ctrl-C ends the process without a word: the command is done, only its end is left to tell.
    """
    if signal.getsignal(signal.SIGINT) is not _quit:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_on_interrupt() -> None:
    """Lets Ctrl-C end the process without a word, while Python takes itself apart."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
