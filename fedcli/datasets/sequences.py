"""Cuts text into sequences for a model that predicts the next character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import PADDING, Examples


def cut_sequences(text: NDArray[np.int32], sequence_length: int, drop_remainder: bool = False) -> Examples:
    """Cuts text into chunks of `sequence_length + 1` characters, which do not overlap.

    The input is the first `sequence_length` characters of a chunk, the target its last ones: at each position
    the character that follows. So, as in the study, the first character of each chunk is no target.

    Args:
        text: Character ids, int32 [n].
        sequence_length: Characters of an input.
        drop_remainder: Whether to drop the last chunk where it is not full, as the study does. If false its
            input is padded with 0 and its target with `PADDING`; a last chunk of a single character, after
            which nothing comes, is dropped even then.

    Returns:
        x and y, int32 [sequences, sequence_length].
    """
    chunk = sequence_length + 1
    full, rest = divmod(len(text), chunk)
    chunks = text[: full * chunk].reshape(full, chunk)
    x, y = chunks[:, :-1], chunks[:, 1:]
    if rest >= 2 and not drop_remainder:
        tail = text[full * chunk :]
        missing = sequence_length - (rest - 1)
        x = np.vstack([x, np.pad(tail[:-1], (0, missing), constant_values=0)])
        y = np.vstack([y, np.pad(tail[1:], (0, missing), constant_values=PADDING)])
    return Examples(np.ascontiguousarray(x, np.int32), np.ascontiguousarray(y, np.int32))
