"""Reads a folder of images: their pixels as a viewer shows them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.importing.folders import (
    CLIENT,
    IMAGE_LAYOUT,
    IMAGE_SUFFIXES,
    LABEL,
    Layout,
    files_below,
    placed_files,
    relative_path,
    shown_path,
)
from fedcli.datasets.importing.rows import BadRow, Row, RowError
from fedcli.errors import UsageError

#: Backgrounds of transparent images: all channels' value.
BACKGROUNDS = {"white": 255, "black": 0}

_GRAY = ("1", "L", "LA", "La")
#: EXIF's tag, whose value 1 means upright.
_ORIENTATION = 0x0112
#: Formats whose further images are other ones. A camera's .jpg (MPO) holds other versions of the same image.
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")

_TURNED = "turned as their EXIF orientation says"
_TRANSPARENT = "transparent, put on a {} background; see --background"
_CMYK = "made RGB of CMYK without a color profile"
_DEEP = "of more than 8 bits a channel, of which the upper 8 are kept"
_MADE_GRAY = "colored and made gray, as the first image is; --channels 3 keeps colors"


class ImageFolder:
    """Images in folders. Values are pixels divided by 255.

    An image is turned as its EXIF orientation says, and a transparent one is put on a background, as viewers do.

    Args:
        folder: The folder.
        layout: What the parts of a path mean.
        size: Height and width that images are scaled to; None to take images of the first one's size only.
        channels: 1 for gray, 3 for colors; None for those of the first image.
        background: One of `BACKGROUNDS`.

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
        background: str = "white",
    ) -> None:
        self._folder = folder
        self._layout = Layout(layout, (CLIENT, LABEL))
        self._scaled = size
        self._channels = channels
        self._background = background
        height, width, first_channels = self._first()
        self.x_shape: tuple[int, ...] = (*(size or (height, width)), channels or first_channels)
        self.columns: list[str] = []
        self.client_from: str | None = f"CLIENT in {layout}"
        self.split_from = f"SPLIT in {layout}" if self._layout.has_split else None
        self._changed: Counter[str] = Counter()

    @property
    def notes(self) -> list[str]:
        """Counts the images that were changed on the way; see the protocol."""
        return [f"{count:,} {'image' if count == 1 else 'images'} {how}" for how, count in self._changed.items()]

    def rows(self, contents: bool) -> Iterator[Row | BadRow]:
        """Reads the images, in the order of their paths; see the protocol. Files that begin with a dot are left out."""
        self._changed.clear()
        for found in placed_files(self._folder, self._layout, "an image", IMAGE_SUFFIXES):
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
        for file in files_below(self._folder, self._layout.depth):
            if file.suffix.lower() not in IMAGE_SUFFIXES or not file.is_file():
                continue
            try:
                with _opened(file) as image:
                    return *_upright_size(image), 1 if image.mode in _GRAY else 3
            except RowError as error:
                reason = f"no image there can be read; {shown_path(relative_path(file, self._folder))}: {error}"
        raise UsageError(f"{self._folder}: {reason}", f"a folder of images has {self._layout.text} with .png and so on")

    def _read(self, file: Path) -> NDArray[np.float32]:
        height, width, channels = self.x_shape
        with _opened(file) as image:
            changes = [_DEEP] if _is_deep(image) else []
            found = _upright_size(image)
            if self._scaled is None and found != (height, width):
                raise RowError(f"{found[0]}x{found[1]} pixels instead of {height}x{width}; --size scales")
            if image.mode.startswith(("I", "F")):
                raise RowError(f"pixels of more than 8 bits (mode {image.mode})")
            if image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1:
                raise RowError(f"{image.n_frames} images in one file")
            try:
                shown = self._shown(image, changes)
                image = shown.convert("L" if channels == 1 else "RGB")
                if (image.height, image.width) != (height, width):
                    from PIL.Image import Resampling

                    image = image.resize((width, height), Resampling.BILINEAR)
                pixels = np.asarray(image, np.uint8)
            except Exception as error:  # what a decoder raises for a damaged file depends on the format
                raise RowError(f"not a sound image ({_reason(error)})") from error
        self._changed.update(changes)
        return pixels.reshape(self.x_shape).astype(np.float32) / np.float32(255)

    def _shown(self, image: Any, changes: list[str]) -> Any:
        """Returns an image as a viewer shows it, without transparency, in a mode that converts to gray or RGB.

        Args:
            image: The image.
            changes: Is extended by what was done about it, for people.
        """
        from PIL import Image, ImageOps

        if _orientation(image) != 1:
            image = ImageOps.exif_transpose(image)
            changes.append(_TURNED)
        if image.mode == "CMYK":
            changes.append(_CMYK)
        gray = image.mode in _GRAY
        if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
            image = image.convert("RGBA")
            if image.getextrema()[3][0] < 255:
                value = BACKGROUNDS[self._background]
                image = Image.alpha_composite(Image.new("RGBA", image.size, (value, value, value, 255)), image)
                changes.append(_TRANSPARENT.format(self._background))
            image = image.convert("RGB")
        if self.x_shape[2] == 1 and self._channels is None and not gray:
            changes.append(_MADE_GRAY)
        return image


def _is_deep(image: Any) -> bool:
    """Says whether colors have 16 bits, of which Pillow keeps the upper 8; only an image that is not yet read tells."""
    return any(";16" in str(part) for tile in image.tile for part in tile)


def _orientation(image: Any) -> int:
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 1


def _upright_size(image: Any) -> tuple[int, int]:
    """Returns height and width after the turn that the EXIF orientation asks for."""
    try:
        lies = _orientation(image) >= 5
    except Exception as error:  # what a decoder raises for a damaged file depends on the format
        raise RowError(f"not a sound image ({_reason(error)})") from error
    return (image.width, image.height) if lies else (image.height, image.width)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Opens an image, of which nothing but the header is read yet."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # An image that would fill the memory is refused, not warned of.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file)
    except Exception as error:  # what a decoder raises for a damaged file depends on the format
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else _reason(error)
        raise RowError(reason) from error
    with image:
        yield image


def _reason(error: Exception) -> str:
    """Writes why a file cannot be read, in one short line."""
    return " ".join(str(error).split())[:100] or type(error).__name__
