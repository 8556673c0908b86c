import numpy as np
import pytest
from PIL import Image

from fedcli.datasets.label_shares import LabelShares, draw_lines, write_png


def shares(counts, names=None):
    counts = np.array(counts)
    names = names or [str(i) for i in range(counts.shape[1])]
    return LabelShares([f"c{i}" for i in range(len(counts))], names, counts)


def test_counts_become_shares():
    found = LabelShares.of({"a": {0: 1, 1: 3}, "b": {0: 0, 1: 0}}, ["no", "yes"])
    assert found.shares.tolist() == [[0.25, 0.75], [0, 0]]
    assert found.clients == ["a", "b"]


@pytest.mark.parametrize(
    ("counts", "distance"),
    [
        ([[5, 5], [1, 1]], 0),
        ([[4, 0], [0, 4]], 0.5),
        ([[0, 0], [0, 0]], 0),
        ([[3, 1], [0, 0]], 0),
        ([[3, 0], [0, 1]], 0.375),
    ],
)
def test_distance_from_all(counts, distance):
    # [3, 0] and [0, 1]: all have [3/4, 1/4]; 3/4 of the examples are 1/4 away, 1/4 of them 3/4.
    assert shares(counts).distance == pytest.approx(distance)


def test_lines():
    lines = draw_lines(shares([[10, 0, 0], [1, 4, 5], [0, 99, 1]], ["a", "b", "long"]))
    assert lines == [
        "        a b long  examples",
        "c0      █         10",
        "c1      · ░ ▒▒▒   10",
        "c2        █ ···   100",
    ]


def test_many_clients_and_labels_are_cut_and_it_says_so():
    lines = draw_lines(shares(np.ones((200, 100), int)))
    assert len(lines) == 32
    assert lines[-2:] == ["(30 of 200 counted clients, spread over all)", "(the first 62 of 100 labels)"]


def test_ids_that_cannot_be_printed():
    found = LabelShares(["a\x1b[31m\n"], ["x\n", "y"], np.array([[1, 1]]))
    assert all(line.isprintable() for line in draw_lines(found))


@pytest.mark.parametrize("labels", [2, 15, 40])
def test_a_png(tmp_path, labels):
    counts = np.random.default_rng(0).integers(0, 9, (90, labels))
    names = ["_x", "$y", *(f"名{i}" for i in range(labels - 2))]
    write_png(shares(counts, names), "t_i$tle", tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > labels
    assert [file.name for file in tmp_path.iterdir()] == ["p.png"]
