"""Reads folders of images and of texts, file by file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.importing.rows import BadRow, Row, RowError, label_of, name_of, split_of
from fedcli.errors import DataError, UsageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
TEXT_SUFFIXES = (".txt", ".text", ".md")

IMAGE_LAYOUT, TEXT_LAYOUT = "CLIENT/LABEL/*", "CLIENT/*"
_CLIENT, _LABEL, _SPLIT, _ANY = "CLIENT", "LABEL", "SPLIT", "*"
#: A line without an end is cut: characters of a piece.
_LONGEST_PIECE = 2**16


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
        if set(named) - {_CLIENT, _LABEL, _SPLIT} or len(set(named)) < len(named) or not set(needed) <= set(named):
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
        split, label = values.get(_SPLIT), values.get(_LABEL)
        return (
            name_of(values[_CLIENT], "client"),
            None if split is None else split_of(split),
            None if label is None else label_of(label),
        )


def first_file(folder: Path, suffixes: tuple[str, ...]) -> Path | None:
    """Finds the first file with one of these suffixes; None if there is none."""
    return next((file for file in _files(folder, 8) if file.suffix.lower() in suffixes), None)


class ImageFolder:
    """Images in folders. Values are pixels divided by 255.

    Args:
        folder: The folder.
        layout: What the parts of a path mean.
        size: Height and width that images are scaled to; None to take images of the first one's size only.
        channels: 1 for grey, 3 for colours; None for those of the first image.

    Raises:
        UsageError: There are no images, or the layout makes no sense.
    """

    kind = "image"
    unit = "files"

    def __init__(
        self,
        folder: Path,
        layout: str = IMAGE_LAYOUT,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> None:
        self._folder = folder
        self._layout = Layout(layout, (_CLIENT, _LABEL))
        self._scaled = size
        height, width, first_channels = self._first()
        self.x_shape: tuple[int, ...] = (*(size or (height, width)), channels or first_channels)
        self.columns: list[str] = []
        self.client_from: str | None = f"CLIENT in {layout}"
        self.split_from = f"SPLIT in {layout}" if self._layout.has_split else None

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the images, in the order of their paths; see the protocol. Files that begin with a dot are left out."""
        for found in _placed(self._folder, self._layout, "an image", IMAGE_SUFFIXES):
            if isinstance(found, BadRow):
                yield found
                continue
            try:
                yield Row(found.client, found.split, found.label, self._read(found.file) if contents else None)
            except RowError as error:
                yield BadRow(found.shown, str(error))

    def _first(self) -> tuple[int, int, int]:
        """Returns height, width and channels of the first image that can be read."""
        reason = "no images there"
        for file in _files(self._folder, self._layout.depth):
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            try:
                with _opened(file) as image:
                    return image.height, image.width, 1 if image.mode in ("1", "L", "LA") else 3
            except RowError as error:
                reason = f"no image there can be read; {_shown(_relative(file, self._folder))}: {error}"
        raise UsageError(f"{self._folder}: {reason}", f"a folder of images has {self._layout.text} with .png and so on")

    def _read(self, file: Path) -> NDArray[np.float32]:
        height, width, channels = self.x_shape
        with _opened(file) as image:
            if self._scaled is None and (image.height, image.width) != (height, width):
                raise RowError(f"{image.height}x{image.width} pixels instead of {height}x{width}; --size scales")
            if image.mode.startswith(("I", "F")):
                raise RowError(f"pixels of more than 8 bits (mode {image.mode})")
            try:
                image = image.convert("L" if channels == 1 else "RGB")
                if (image.height, image.width) != (height, width):
                    from PIL.Image import Resampling

                    image = image.resize((width, height), Resampling.BILINEAR)
                pixels = np.asarray(image, np.uint8)
            except Exception as error:  # what a decoder raises for a damaged file depends on the format
                raise RowError(f"not a sound image ({shown_reason(error)})") from error
        return pixels.reshape(self.x_shape).astype(np.float32) / np.float32(255)


class TextFolder:
    """Texts in folders, UTF-8. Each line is a row; a client's lines are in the order of its files' paths.

    Args:
        folder: The folder.
        layout: What the parts of a path mean.

    Raises:
        UsageError: There are no texts, or the layout makes no sense.
    """

    kind = "text"
    unit = "lines and files"
    x_shape: tuple[int, ...] = ()

    def __init__(self, folder: Path, layout: str = TEXT_LAYOUT) -> None:
        self._folder = folder
        self._layout = Layout(layout, (_CLIENT,))
        if first_file(folder, TEXT_SUFFIXES) is None:
            raise UsageError(f"{folder}: no texts there", f"a folder of texts has {layout} with .txt")
        self.columns: list[str] = []
        self.client_from: str | None = f"CLIENT in {layout}"
        self.split_from = f"SPLIT in {layout}" if self._layout.has_split else None

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the lines; see the protocol. Files that begin with a dot are left out."""
        for found in _placed(self._folder, self._layout, "a text", TEXT_SUFFIXES):
            if isinstance(found, BadRow):
                yield found
            else:
                yield from _lines(found)


@dataclass(frozen=True)
class _Placed:
    """A file and what its path says; `shown` is the path for the user."""

    file: Path
    shown: str
    client: str
    split: str | None
    label: str | None


def _placed(folder: Path, layout: Layout, what: str, suffixes: tuple[str, ...]) -> Iterator[_Placed | BadRow]:
    """Reads the paths of a folder's files, in their order."""
    for file in _files(folder, layout.depth):
        path = _relative(file, folder)
        try:
            if file.is_dir():
                raise RowError(f"a folder where {layout.text} has a file")
            client, split, label = layout.read(path)
            if file.suffix.lower() not in suffixes:
                raise RowError(f"not {what} ({', '.join(suffixes)})")
            yield _Placed(file, _shown(path), client, split, label)
        except RowError as error:
            yield BadRow(_shown(path), str(error))


def _lines(found: _Placed) -> Iterator[Row | BadRow]:
    number = 1
    try:
        with found.file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            while piece := lines.readline(_LONGEST_PIECE):
                try:
                    yield Row(found.client, found.split, None, piece.encode())
                except UnicodeEncodeError:
                    yield BadRow(f"{found.shown} line {number}", "not UTF-8")
                number += piece.endswith("\n")
    except OSError as error:
        yield BadRow(found.shown, error.strerror or str(error))


def shown_reason(error: Exception) -> str:
    """Writes why a file cannot be read, in one short line."""
    return " ".join(str(error).split())[:100] or type(error).__name__


class _opened:  # noqa: N801 (used as a function)
    """Opens an image, of which nothing but the header is read yet."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> Any:
        from PIL import Image

        try:
            with warnings.catch_warnings():
                # An image that would fill the memory is refused, not warned of.
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                self._image = Image.open(self._file)
        except Exception as error:  # what a decoder raises for a damaged file depends on the format
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else shown_reason(error)
            raise RowError(reason) from error
        return self._image

    def __exit__(self, *error: object) -> None:
        self._image.close()


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Lists the files below a folder, and the folders where files should be, sorted; one folder at a time.

    Args:
        folder: Where to begin.
        depth: Parts of the path of a file: folders that are deeper are not looked into.
    """
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


def _relative(file: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(folder).as_posix())


def _shown(path: PurePosixPath) -> str:
    # Names of files need not be UTF-8.
    return str(path).encode(errors="backslashreplace").decode()
