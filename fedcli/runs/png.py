"""Encodes and measures PNG images, so that events need no imaging library.

The format: W3C, "Portable Network Graphics (PNG) Specification", https://www.w3.org/TR/png/.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey + alpha, RGB, RGB + alpha


def encode_png(image: NDArray[Any]) -> bytes:
    """Encodes an image without loss.

    Args:
        image: uint8, [height, width] or [height, width, channels] with 1 (grey), 2 (grey and alpha), 3 (RGB)
            or 4 (RGB and alpha) channels.

    Raises:
        ValueError: The array is of another type or shape, or empty.
    """
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in _COLOUR_TYPES or not image.size:
        raise ValueError(f"an image is uint8 [height, width, 1 to 4], not {image.dtype} {image.shape}")
    height, width, channels = image.shape
    # A byte before each line names its filter: 0, none.
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(lines.tobytes())),
            _chunk(b"IEND", b""),
        ]
    )


def png_size(png: bytes) -> tuple[int, int]:
    """Reads an encoded image's width and height in pixels.

    Raises:
        ValueError: It is no PNG image.
    """
    if not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR" or len(png) < 24:
        raise ValueError("not a PNG image")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
