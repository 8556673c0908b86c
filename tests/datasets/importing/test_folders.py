import numpy as np
import pytest
from PIL import Image

from fedcli.datasets.importing.folders import Layout
from fedcli.datasets.importing.images import ImageFolder
from fedcli.datasets.importing.texts import TextFolder
from fedcli.errors import UsageError
from tests.datasets.importing.sources import bad_rows, good_rows


def draw(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def random_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_images_are_their_pixels_divided_by_255(tmp_path):
    expected = {}
    for client, label, name in (("anna", "cat", "1"), ("anna", "dog", "2"), ("bo", "cat", "1")):
        pixels = random_pixels(5, 4, seed=len(expected))
        draw(tmp_path / client / label / f"{name}.png", pixels)
        expected[client, label] = pixels[..., None] / np.float32(255)
    folder = ImageFolder(tmp_path)
    assert (folder.kind, folder.x_shape) == ("image", (5, 4, 1))
    found = good_rows(folder)
    assert [(row.client, row.label) for row in found] == list(expected)
    for row in found:
        np.testing.assert_array_equal(row.content, expected[row.client, row.label])
        assert row.content.dtype == np.float32
    # The first pass opens none but the first.
    assert [row.content for row in folder.rows(contents=False)] == [None] * 3


def test_colours_grey_and_scaling(tmp_path):
    draw(tmp_path / "a" / "x" / "1.png", random_pixels(6, 8, 3))
    assert ImageFolder(tmp_path).x_shape == (6, 8, 3)
    grey = ImageFolder(tmp_path, size=(3, 4), channels=1)
    assert good_rows(grey)[0].content.shape == grey.x_shape == (3, 4, 1)


def test_every_file_that_is_no_image_of_that_size_is_bad(tmp_path):
    good = tmp_path / "a" / "x"
    draw(good / "1.png", random_pixels(4, 4))
    draw(good / "2.png", random_pixels(4, 5))
    write(good / "3.png", b"no image")
    write(good / "4.png", (good / "1.png").read_bytes()[:50])
    write(good / "notes.txt", b"hello")
    write(tmp_path / "a" / "high.png", b"")
    write(good / "deep" / "1.png", b"")
    write(tmp_path / "a" / "0.5" / "1.png", (good / "1.png").read_bytes())
    write(good / ".DS_Store", b"")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(good / "6.tif")
    found = dict(bad_rows(ImageFolder(tmp_path)))
    assert set(found) == {
        "a/0.5/1.png", "a/high.png", "a/x/2.png", "a/x/3.png", "a/x/4.png", "a/x/6.tif", "a/x/deep", "a/x/notes.txt",
    }  # fmt: skip
    assert found["a/0.5/1.png"].startswith("label 0.5 is a fraction")
    assert found["a/high.png"] == "not at CLIENT/LABEL/*"
    assert found["a/x/2.png"] == "4x5 pixels instead of 4x4; --size scales"
    assert found["a/x/3.png"] == "not an image"
    assert found["a/x/4.png"].startswith("not a sound image (")
    assert found["a/x/6.tif"] == "pixels of more than 8 bits (mode I)"
    assert found["a/x/deep"] == "a folder where CLIENT/LABEL/* has a file"
    assert found["a/x/notes.txt"].startswith("not an image (.png")
    assert len(good_rows(ImageFolder(tmp_path))) == 1


def test_an_image_that_would_fill_the_memory_is_bad(tmp_path, monkeypatch):
    draw(tmp_path / "a" / "x" / "1.png", random_pixels(4, 4))
    draw(tmp_path / "a" / "x" / "2.png", random_pixels(8, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    ((place, reason),) = bad_rows(ImageFolder(tmp_path))
    assert place == "a/x/2.png"
    assert "64 pixels" in reason


def test_layouts(tmp_path):
    draw(tmp_path / "train" / "cat" / "anna.png", random_pixels(2, 2))
    (row,) = good_rows(ImageFolder(tmp_path, "SPLIT/LABEL/CLIENT"))
    assert (row.split, row.label, row.client) == ("train", "cat", "anna")


@pytest.mark.parametrize("text", ["", "CLIENT", "LABEL/*", "CLIENT/LABEL/LABEL", "CLIENT/label", "CLIENT//LABEL"])
def test_what_is_no_layout(text):
    with pytest.raises(UsageError, match="not a layout"):
        Layout(text, ("CLIENT", "LABEL"))


def test_no_images_and_no_image_that_can_be_read(tmp_path):
    with pytest.raises(UsageError, match="no images there"):
        ImageFolder(tmp_path)
    write(tmp_path / "a" / "x" / "1.png", b"?")
    with pytest.raises(UsageError, match=r"no image there can be read; a/x/1.png: not an image"):
        ImageFolder(tmp_path)


def test_lines_of_texts(tmp_path):
    write(tmp_path / "anna" / "2.txt", "Zwölf\r\n\r\nend".encode())
    write(tmp_path / "anna" / "1.txt", b"\xef\xbb\xbffirst\n")
    write(tmp_path / "bo" / "1.md", b"caf\xe9\nok\n")
    write(tmp_path / "bo" / "picture.png", b"")
    folder = TextFolder(tmp_path)
    assert [(row.client, row.content.decode()) for row in good_rows(folder)] == [
        ("anna", "first\n"),
        ("anna", "Zwölf\n"),
        ("anna", "\n"),
        ("anna", "end"),
        ("bo", "ok\n"),
    ]
    assert bad_rows(folder) == [("bo/1.md line 1", "not UTF-8"), ("bo/picture.png", "not a text (.txt, .text, .md)")]


def test_a_line_without_end_is_cut(tmp_path):
    text = "0123456789" * 20_000
    write(tmp_path / "a.txt", text.encode())
    pieces = [row.content for row in good_rows(TextFolder(tmp_path, "CLIENT"))]
    assert len(pieces) == 4
    assert b"".join(pieces).decode() == text


def test_no_texts(tmp_path):
    with pytest.raises(UsageError, match="no texts there"):
        TextFolder(tmp_path)


@pytest.mark.parametrize("name", ["README", "readme.md", "Read_Me.txt", "LICENSE", "License-MIT.txt", "CITATION.cff"])
def test_documents_at_the_top_are_left_out(tmp_path, name):
    draw(tmp_path / "a" / "x" / "1.png", random_pixels(2, 2))
    write(tmp_path / "b" / "1.txt", b"text\n")
    write(tmp_path / name, b"about the data")
    write(tmp_path / "a" / "x" / name, b"about the images")
    shown = [place for place, _ in bad_rows(ImageFolder(tmp_path))]
    assert shown == sorted([f"a/x/{name}", "b/1.txt"])
    assert [row.client for row in good_rows(TextFolder(tmp_path))] == ["b"]


@pytest.mark.parametrize("name", ["license plate.jpg", "notice.png", "readmission.txt", "authors.csv"])
def test_other_files_at_the_top_are_bad(tmp_path, name):
    draw(tmp_path / "a" / "x" / "1.png", random_pixels(2, 2))
    write(tmp_path / name, b"data")
    assert bad_rows(ImageFolder(tmp_path)) == [(name, "not at CLIENT/LABEL/*")]


def test_where_files_are_at_the_top_each_is_somebody_s(tmp_path):
    write(tmp_path / "readme.txt", b"a client of this name\n")
    assert [row.client for row in good_rows(TextFolder(tmp_path, "CLIENT"))] == ["readme"]
