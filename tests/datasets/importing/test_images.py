"""Images as a viewer shows them: turned, without transparency, and of one frame."""

import os

import numpy as np
import pytest
from PIL import Image

from fedcli.datasets.importing.images import ImageFolder
from tests.datasets.importing.sources import bad_rows, good_rows

UPRIGHT = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5) * 10


@pytest.fixture
def save(tmp_path):
    """Saves an image as the only one of a folder of its own and returns the folder."""

    def save(image, name="1.png", folder="images", **options):
        path = tmp_path / folder / "anna" / "cat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
        return tmp_path / folder

    return save


def only(folder, **options):
    """Returns the pixels of the only image, 0 to 255, and the notes."""
    source = ImageFolder(folder, **options)
    (row,) = good_rows(source)
    return np.rint(row.content * 255).astype(np.uint8), source.notes


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, UPRIGHT),
        (2, UPRIGHT[:, ::-1]),
        (3, UPRIGHT[::-1, ::-1]),
        (4, UPRIGHT[::-1]),
        (5, UPRIGHT.T),
        (6, np.rot90(UPRIGHT)),
        (7, UPRIGHT[::-1, ::-1].T),
        (8, np.rot90(UPRIGHT, -1)),
        (99, UPRIGHT),
    ],
)
@pytest.mark.parametrize("size", [None, (3, 5)])
def test_an_image_is_turned_as_exif_says(save, orientation, stored, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    folder = save(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    pixels, notes = only(folder, size=size)
    np.testing.assert_array_equal(pixels[..., 0], UPRIGHT)
    assert notes == ([] if orientation in (1, 99) else ["1 image turned as their EXIF orientation says"])


@pytest.mark.parametrize(("background", "value"), [("white", 255), ("black", 0)])
def test_a_transparent_image_is_put_on_a_background(save, background, value):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[...] = (200, 10, 30, 255)
    rgba[0, 0, 3] = 0  # the color below is hidden
    pixels, notes = only(save(Image.fromarray(rgba)), background=background)
    assert pixels[0, 0].tolist() == [value] * 3
    assert pixels[1, 1].tolist() == [200, 10, 30]
    assert notes == [f"1 image transparent, put on a {background} background; see --background"]


def test_transparency_of_gray_and_palette_images(save):
    gray = np.array([[[50, 255], [50, 0]]], np.uint8)
    assert only(save(Image.fromarray(gray, "LA"), folder="gray"))[0][..., 0].tolist() == [[50, 255]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    pixels, notes = only(save(palette, folder="palette"))
    assert (pixels.tolist(), notes) == ([[[10, 20, 30], [40, 50, 60]]], [])
    palette.info["transparency"] = 1
    assert only(save(palette, folder="hole"))[0].tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_an_alpha_channel_that_hides_nothing_changes_nothing(save):
    rgba = np.random.default_rng(0).integers(0, 255, (4, 4, 4), np.uint8)
    rgba[..., 3] = 255
    pixels, notes = only(save(Image.fromarray(rgba)))
    np.testing.assert_array_equal(pixels, rgba[..., :3])
    assert notes == []


def test_cmyk_is_made_rgb_with_a_note(save):
    pixels, notes = only(save(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "1.tif"))
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert notes == ["1 image made RGB of CMYK without a color profile"]


def test_colors_that_are_lost_are_counted(save):
    save(Image.new("L", (2, 2), 7), "1.png")
    folder = save(Image.new("RGB", (2, 2), (255, 0, 0)), "2.png")
    source = ImageFolder(folder)
    assert len(good_rows(source)) == 2
    assert source.notes == ["1 image colored and made gray, as the first image is; --channels 3 keeps colors"]
    asked = ImageFolder(folder, channels=1)
    assert len(good_rows(asked)) == 2
    assert asked.notes == []


def test_16_bits_a_channel(save, tmp_path):
    (tmp_path / "deep" / "anna" / "cat").mkdir(parents=True)
    deep = tmp_path / "deep" / "anna" / "cat" / "1.png"
    deep.write_bytes(png_of_16_bits(np.full((2, 2, 3), 0x1234, ">u2")))
    pixels, notes = only(tmp_path / "deep")
    assert (pixels[0, 0].tolist(), notes) == (
        [0x12] * 3,
        ["1 image of more than 8 bits a channel, of which the upper 8 are kept"],
    )
    gray = ImageFolder(save(Image.fromarray(np.full((2, 2), 0x1234, np.uint16))))
    assert bad_rows(gray)[0][1].startswith("pixels of more than 8 bits")


def png_of_16_bits(pixels):
    """Writes a PNG file [height, width, 3] of 16 bits a channel, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["1.gif", "1.png", "1.webp", "1.tif"])
def test_several_images_in_a_file_are_bad(save, name):
    frames = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (0, 100, 200)]
    folder = save(frames[0], name, save_all=True, append_images=frames[1:])
    assert bad_rows(ImageFolder(folder)) == [(f"anna/cat/{name}", "3 images in one file")]


def test_a_pipe_in_the_folder_is_bad(save):
    folder = save(Image.new("L", (2, 2)), "2.png")
    os.mkfifo(folder / "anna" / "cat" / "1.png")
    os.symlink("/dev/zero", folder / "anna" / "cat" / "3.png")
    source = ImageFolder(folder)
    assert bad_rows(source) == [("anna/cat/1.png", "not a regular file"), ("anna/cat/3.png", "not a regular file")]
    assert len(good_rows(source)) == 1
