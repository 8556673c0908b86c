"""Reads a text for centralized training: checked, encoded, and cut into sequences to train and to validate on."""

from __future__ import annotations

import errno
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.base import Examples
from fedcli.datasets.sequences import cut_sequences
from fedcli.errors import ConfigError, DataError
from fedcli.regular_file import read_regular
from fedcli.shell import shown_path
from fedcli.text.vocabulary import encode, unknown_characters

if TYPE_CHECKING:
    from fedcli.config.pretrain import PretrainConfig

#: A text is held in memory, and so are the numbers of its characters.
_MOST_BYTES = 2**30
#: Stretches of the text of which each gives its end to the validation, where the text is long enough.
_BLOCKS = 10


@dataclass(frozen=True)
class TrainingText:
    """A text, ready to train on.

    Attributes:
        train: Sequences to train on.
        validation: Held-out sequences.
        characters: Length of the text.
        unknown: How often each character outside the vocabulary occurs, most frequent first.
        digest: SHA-256 of the text, in hexadecimal.
    """

    train: Examples
    validation: Examples
    characters: int
    unknown: dict[str, int]
    digest: str


def load_text(config: PretrainConfig) -> TrainingText:
    """Reads the config's text and cuts it.

    Raises:
        ConfigError: There is no such file, or it is no text, or too short.
        DataError: It cannot be read.
    """
    assert config.text is not None  # checked with the config
    text = read_text(config.text)
    check_length(text, config)
    train, validation = split(encode(text), config.sequence_length, config.validation_share)
    unknown = Counter(character for _, character in unknown_characters(text))
    return TrainingText(
        train, validation, len(text), dict(unknown.most_common()), hashlib.sha256(text.encode()).hexdigest()
    )


def read_text(path: str) -> str:
    """Reads a UTF-8 file, line ends as they are, without a byte order mark.

    Raises:
        ConfigError: There is no such file, it is no text (the message tells the first byte that is not), no regular
            file, or has more than 1 GiB.
        DataError: It cannot be read.
    """
    file = Path(path).expanduser()
    try:
        data = read_regular(file, _MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the path
        raise ConfigError(f"{path}: no such file", "give a UTF-8 text file with --text FILE") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder, not a file", "give a UTF-8 text file with --text FILE") from None
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EFBIG):
            raise ConfigError(f"{path}: {error.strerror}", "give a UTF-8 text file, or a part of it") from None
        raise DataError(f"cannot read {path}: {error.strerror or error}", "check the file and your rights") from error
    zero = data.find(0)
    if zero >= 0:
        raise ConfigError(f"{path}: not text: byte {zero} is zero", "give a text file in UTF-8, not a binary file")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}: not UTF-8: byte {error.start} (line {line}) is 0x{data[error.start]:02x}",
            f"if it is text, convert it: iconv -f latin1 -t utf-8 {shown_path(path)} > new.txt",
        ) from None


def check_length(text: str, config: PretrainConfig) -> None:
    """Refuses a text that gives no whole sequence to train on, or none to validate on.

    Raises:
        ConfigError: It is empty or too short.
    """
    if not text.strip():
        raise ConfigError(f"{config.text}: the file is empty", "give a text of at least some thousand characters")
    held_out = _held_out(len(text), config.validation_share)
    if min(held_out, len(text) - held_out) < config.sequence_length + 1:
        share = min(config.validation_share, 1 - config.validation_share)
        raise ConfigError(
            f"{config.text}: {len(text):,} characters are too few: with validation_share={config.validation_share:g} "
            f"not even one sequence of {config.sequence_length + 1} to train on and one to validate on",
            f"give at least {int((config.sequence_length + 2) / share) + 1:,} characters, or lower sequence_length",
        )


def split(ids: NDArray[np.int32], sequence_length: int, validation_share: float) -> tuple[Examples, Examples]:
    """Holds out a share of a text.

    The text is cut into up to 10 stretches of equal length, and the end of each is held out: every part of a book,
    or of a file of several books, is in both, and no held-out sequence shares a character with a trained one.

    Args:
        ids: Character ids [n].
        sequence_length: Characters of an input.
        validation_share: Share to hold out, in (0, 1).

    Returns:
        Sequences to train on and sequences to validate on; the last of each stretch is padded.
    """
    # No more stretches than there are whole sequences to hold out.
    blocks = max(1, min(_BLOCKS, int(len(ids) * validation_share) // (sequence_length + 1)))
    train, validation = [], []
    for block in np.array_split(ids, blocks):
        end = len(block) - _held_out(len(block), validation_share)
        train.append(cut_sequences(block[:end], sequence_length))
        validation.append(cut_sequences(block[end:], sequence_length))
    return _joined(train), _joined(validation)


def _held_out(length: int, share: float) -> int:
    return round(length * share)


def _joined(parts: Sequence[Examples]) -> Examples:
    return Examples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
