"""Lists the files of a folder of images or of texts, and reads what their paths say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fedcli.datasets.importing.rows import BadRow, RowError, label_of, name_of, split_of
from fedcli.errors import DataError, UsageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
TEXT_SUFFIXES = (".txt", ".text", ".md")

IMAGE_LAYOUT, TEXT_LAYOUT = "CLIENT/LABEL/*", "CLIENT/*"
CLIENT, LABEL, _SPLIT, _ANY = "CLIENT", "LABEL", "SPLIT", "*"
#: Folders that are deeper are not looked into to find out what a folder holds.
_DEEPEST = 8
#: Files at the top of a folder that tell people about the data.
_DOCUMENT = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|copyright|citation|notice|authors|changes|changelog)([-_]\w+)*"
    r"(\.(txt|text|md|rst|html?|pdf|cff|bib))?",
    re.IGNORECASE,
)


class Layout:
    """What the parts of a path mean, the folders' and at last the file's, whose suffix does not count.

    Args:
        text: Parts separated by slashes: CLIENT, LABEL, SPLIT, and * for one that means nothing.
        needed: Parts that must be among them.

    Raises:
        UsageError: It is no such text.
    """

    def __init__(self, text: str, needed: tuple[str, ...]) -> None:
        self.text = text
        self._parts = text.split("/")
        named = [part for part in self._parts if part != _ANY]
        if set(named) - {CLIENT, LABEL, _SPLIT} or len(set(named)) < len(named) or not set(needed) <= set(named):
            raise UsageError(
                f"--layout {text}: not a layout",
                f"parts are CLIENT, LABEL, SPLIT and *, such as {IMAGE_LAYOUT} for images or {TEXT_LAYOUT} for texts; "
                f"{' and '.join(needed)} must be there, none twice",
            )

    @property
    def depth(self) -> int:
        """Parts of a file's path."""
        return len(self._parts)

    @property
    def has_split(self) -> bool:
        """Whether paths name the split."""
        return _SPLIT in self._parts

    def read(self, path: PurePosixPath) -> tuple[str, str | None, str | None]:
        """Reads a path below the folder.

        Returns:
            Client, split and label; None for what the layout has not.

        Raises:
            RowError: It has more or fewer parts, or one of them does not name what it should.
        """
        parts = [*path.parts[:-1], path.stem]
        if len(parts) != self.depth:
            raise RowError(f"not at {self.text}")
        values = dict(zip(self._parts, parts, strict=True))
        split, label = values.get(_SPLIT), values.get(LABEL)
        return (
            name_of(values[CLIENT], "client"),
            None if split is None else split_of(split),
            None if label is None else label_of(label),
        )


def count_files(folder: Path) -> tuple[int, int]:
    """Counts the images and the texts in a folder, documents about the data left out."""
    suffixes = [file.suffix.lower() for file in files_below(folder, _DEEPEST)]
    return sum(suffix in IMAGE_SUFFIXES for suffix in suffixes), sum(suffix in TEXT_SUFFIXES for suffix in suffixes)


@dataclass(frozen=True)
class PlacedFile:
    """A file and what its path says; `shown` is the path for the user."""

    file: Path
    shown: str
    client: str
    split: str | None
    label: str | None


def placed_files(folder: Path, layout: Layout, what: str, suffixes: tuple[str, ...]) -> Iterator[PlacedFile | BadRow]:
    """Reads the paths of a folder's files, in their order."""
    for file in files_below(folder, layout.depth):
        path = relative_path(file, folder)
        try:
            if file.is_dir():
                raise RowError(f"a folder where {layout.text} has a file")
            if not file.is_file():
                raise RowError("not a regular file")  # reading a pipe or a device might never end
            client, split, label = layout.read(path)
            if file.suffix.lower() not in suffixes:
                raise RowError(f"not {what} ({', '.join(suffixes)})")
            yield PlacedFile(file, shown_path(path), client, split, label)
        except RowError as error:
            yield BadRow(shown_path(path), str(error))


def files_below(folder: Path, depth: int) -> Iterator[Path]:
    """Lists the files below a folder, and the folders where files should be, sorted; one folder at a time.

    Files that begin with a dot are left out, and at the top documents about the data, such as README.txt.

    Args:
        folder: Where to begin.
        depth: Parts of the path of a file: folders that are deeper are not looked into.
    """
    for file in _files(folder, depth):
        if depth == 1 or file.parent != folder or file.is_dir() or not _DOCUMENT.fullmatch(file.name):
            yield file


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}", "check your rights to it") from error
    for name, is_folder in names:
        if is_folder and depth > 1:
            yield from _files(folder / name, depth - 1)
        else:
            yield folder / name


def relative_path(file: Path, folder: Path) -> PurePosixPath:
    """Returns the path of a file below a folder."""
    return PurePosixPath(file.relative_to(folder).as_posix())


def shown_path(path: PurePosixPath) -> str:
    """Returns a path as a message shows it: names of files need not be UTF-8."""
    return str(path).encode(errors="backslashreplace").decode()
