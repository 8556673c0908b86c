import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fedcli.runs.png import encode_png, png_size


def decode(png: bytes) -> NDArray[np.uint8]:
    """Decodes what `encode_png` may write, verifying each chunk."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, offset = {}, 8
    while offset < len(png):
        (length,) = struct.unpack(">I", png[offset : offset + 4])
        kind, data = png[offset + 4 : offset + 8], png[offset + 8 : offset + 8 + length]
        assert struct.unpack(">I", png[offset + 8 + length : offset + 12 + length])[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        offset += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, {0: 1, 4: 2, 2: 3, 6: 4}[colour])


@pytest.mark.parametrize("shape", [(28, 28), (3, 5, 1), (3, 5, 2), (4, 2, 3), (1, 1, 4)])
def test_round_trip(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    png = encode_png(image)
    np.testing.assert_array_equal(decode(png), image.reshape(*shape[:2], -1))
    assert png_size(png) == (shape[1], shape[0])


def test_other_memory_layouts() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)[::-1, ::2]
    np.testing.assert_array_equal(decode(encode_png(image))[:, :, 0], image)


@pytest.mark.parametrize(
    "image",
    [np.zeros((2, 2)), np.zeros(4, np.uint8), np.zeros((2, 2, 5), np.uint8), np.zeros((0, 2), np.uint8)],
)
def test_other_arrays_are_refused(image: Any) -> None:
    with pytest.raises(ValueError, match="an image is uint8"):
        encode_png(image)


@pytest.mark.parametrize("data", [b"", b"GIF89a", encode_png(np.zeros((1, 1), np.uint8))[:20]])
def test_size_of_what_is_no_png(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        png_size(data)
