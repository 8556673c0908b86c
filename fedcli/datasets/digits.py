"""Real handwritten digits that come with scikit-learn: small, offline, the default."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets import datasets
from fedcli.datasets.base import DatasetConfig, DataSource, DataSpec, Examples, FederatedDataset
from fedcli.datasets.subset import choose_clients, spread_subset

WRITERS = 13
_EVERY_SIXTH = 6
_INK_LEVELS = 16
#: Side of the scaled digit, and the empty border around it: EMNIST's digits fill about as much.
_SIDE, _BORDER = 24, 2


@datasets.register("digits")
@dataclass(frozen=True)
class Digits(DatasetConfig):
    """1,797 digits of 13 writers, scaled to EMNIST's 28x28 form.

    The test part of the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998),
    which scikit-learn ships. It was written by 13 people, but who wrote which digit is not published: 13
    contiguous blocks of near equal size (138 or 139 digits) stand for them. About a sixth of each block,
    spread over its labels, is the test split.
    """

    about: ClassVar[DataSource] = DataSource(
        "1,797 handwritten digits, 8x8 scaled to 28x28; 13 contiguous blocks stand for the 13 writers",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    )

    name: str = "digits"

    @property
    def spec(self) -> DataSpec:
        """28x28 images in 10 classes."""
        return DataSpec("image", (28, 28, 1), "float32", (), 10, WRITERS)

    def fingerprint(self) -> str | None:
        """Hashes the digits of the installed scikit-learn; see the base class."""
        pixels, labels = _read()
        return hashlib.sha256(pixels.astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()

    def load(self) -> DigitsDataset:
        """Reads the digits from the installed scikit-learn; see the base class."""
        pixels, labels = _read()
        return DigitsDataset(self.spec, to_emnist_form(pixels), labels, self.clients)


class DigitsDataset(FederatedDataset):
    """The digits in memory (5.6 MB).

    Args:
        spec: What `Digits.spec` says.
        x: Images of all writers, one writer after the other, float32 [n, 28, 28, 1].
        y: Labels, int32 [n].
        clients: Ids of the only writers to use; None for all.
    """

    def __init__(
        self, spec: DataSpec, x: NDArray[np.float32], y: NDArray[np.int32], clients: list[str] | None = None
    ) -> None:
        self.spec = spec
        self._x, self._y = x, y
        blocks = {f"writer_{i:02d}": rows for i, rows in enumerate(np.array_split(np.arange(len(y)), WRITERS))}
        self.client_ids = choose_clients(list(blocks), clients)
        splits = {client: _split(blocks[client], y) for client in self.client_ids}
        self._train = {client: train for client, (train, _) in splits.items()}
        self._tests = {client: test for client, (_, test) in splits.items()}
        self._test = np.concatenate(list(self._tests.values()))

    def client(self, client_id: str) -> Examples:
        """Returns one writer's training digits; see the base class."""
        return self._examples(self._train[client_id])

    def test(self, max_examples: int | None = None) -> Examples:
        """Returns test digits of all writers; see the base class."""
        return self._examples(self._test[spread_subset(len(self._test), max_examples)])

    def test_client(self, client_id: str) -> Examples:
        """Returns one writer's test digits; see the base class."""
        return self._examples(self._tests[client_id])

    def _examples(self, rows: NDArray[np.int64]) -> Examples:
        return Examples(self._x[rows], self._y[rows])


def to_emnist_form(pixels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scales 8x8 digits to the form of EMNIST: 28x28, background 1.0, ink 0.0.

    Bilinear to 24x24, with an empty border of 2 pixels around it.

    Args:
        pixels: Amount of ink, 0 to 16, [n, 8, 8].

    Returns:
        Images, float32 [n, 28, 28, 1] in [0, 1].
    """
    small = pixels.shape[1]
    size = _SIDE + 2 * _BORDER
    # Where the centre of each new pixel lies among the old ones. Outside of them is background, so that the
    # strokes fade out at the edge instead of being cut.
    position = (np.arange(size) + 0.5 - _BORDER) * small / _SIDE - 0.5
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(small)[None, :]))
    ink = weights @ (pixels / _INK_LEVELS) @ weights.T
    return np.clip(1 - ink, 0, 1).astype(np.float32)[..., None]


def _split(rows: NDArray[np.int64], labels: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits one writer's rows into train and test, both in stored order."""
    # By label, as the digits were written in a repeating order: plainly every sixth would miss some labels.
    by_label = rows[np.argsort(labels[rows], kind="stable")]
    test = np.sort(by_label[_EVERY_SIXTH - 1 :: _EVERY_SIXTH])
    return np.setdiff1d(rows, test), test


@cache
def _read() -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Reads the pixels [1797, 8, 8] and labels [1797], once. Nobody changes them."""
    # Reading scikit-learn's file takes 0.1 s, importing scikit-learn four times that.
    file = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
    if file.exists():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int32)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images, bunch.target.astype(np.int32)
