"""How much clients differ in their labels, as data and as plots."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedcli.datasets.subset import spread_subset
from fedcli.runs.atomic import atomic_path
from fedcli.shell import printable

#: A client's share of a label, from none to all, in fifths.
SHADES = " ·░▒▓█"
#: The same where a terminal's encoding has no blocks.
ASCII_SHADES = " .:+%@"
#: More classes have no room, neither in a line nor in a legend.
_MOST_COLUMNS, _MOST_IN_LEGEND = 62, 20
#: Clients drawn in a picture, spread over all.
_MOST_BARS = 60


@dataclass(frozen=True)
class LabelShares:
    """Labels by client.

    Attributes:
        clients: Ids.
        labels: Name of each label.
        counts: Training examples of each client and label, [clients, labels].
    """

    clients: Sequence[str]
    labels: Sequence[str]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, client_labels: Mapping[str, Mapping[int, int]], names: Sequence[str]) -> LabelShares:
        """Takes the counts of `inspect.Summary.client_labels`."""
        counts = [[by_label[label] for label in range(len(names))] for by_label in client_labels.values()]
        return cls(list(client_labels), names, np.array(counts, np.int64).reshape(-1, len(names)))

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each label in a client's examples, [clients, labels]; 0 for a client without any."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    @property
    def distance(self) -> float:
        """How far clients are from the whole: 0 if all have the same shares, near 1 if each has labels of its own.

        The total variation distance between the label shares of a client and of all these clients together, its mean
        over the clients, weighted by their examples.
        """
        total = self.counts.sum()
        if not total:
            return 0.0
        whole = self.counts.sum(axis=0) / total
        return float(self.counts.sum(axis=1) / total @ np.abs(self.shares - whole).sum(axis=1) / 2)

    def some(self, most: int) -> LabelShares:
        """Returns at most so many clients, spread over all."""
        chosen = spread_subset(len(self.clients), most)
        return LabelShares([self.clients[i] for i in chosen], self.labels, self.counts[chosen])


def draw_lines(shares: LabelShares, shades: str = SHADES, most_clients: int = 30) -> list[str]:
    """Draws label shares with characters, a line for each client, whatever the terminal can do.

    Args:
        shares: What to draw.
        shades: Characters from no share to a whole one.
        most_clients: So many lines at most, of clients spread over all.
    """
    drawn = shares.some(most_clients)
    shown = min(len(shares.labels), _MOST_COLUMNS)
    names = [printable(name) for name in shares.labels[:shown]]
    # A column takes as much as its name, unless there are many: then names would be in the way.
    widths = [len(name) if len(name) <= 10 and shown <= 20 else 1 for name in names]
    left = max([len(printable(client)) for client in drawn.clients] + [6])
    lines = []
    if widths == [len(name) for name in names]:
        lines.append(f"{'':<{left}}  {' '.join(names)}  examples")
    for client, row, counts in zip(drawn.clients, drawn.shares, drawn.counts, strict=True):
        cells = [f"{_shade(share, shades) * min(width, 3):<{width}}" for share, width in zip(row, widths, strict=False)]
        lines.append(f"{printable(client):<{left}}  {' '.join(cells)}  {counts.sum():,}")
    if len(drawn.clients) < len(shares.clients):
        lines.append(f"({len(drawn.clients)} of {len(shares.clients)} counted clients, spread over all)")
    if shown < len(shares.labels):
        lines.append(f"(the first {shown} of {len(shares.labels)} labels)")
    return lines


def legend(shades: str = SHADES) -> str:
    """Says what the characters mean."""
    steps = len(shades) - 1
    return "  ".join(f"{shade} up to {100 * step // steps} %" for step, shade in enumerate(shades) if step)


def _shade(share: float, shades: str) -> str:
    return shades[int(np.ceil(share * (len(shades) - 1) - 1e-9))]


def write_png(shares: LabelShares, title: str, path: Path) -> None:
    """Draws label shares as bars, beside them how many examples each client has.

    Args:
        shares: What to draw; of many clients some, spread over all.
        title: Above it.
        path: The file, written whole or not at all.

    Raises:
        RunDirectoryError: The file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = shares.some(_MOST_BARS)
    number = len(shares.labels)
    few = number <= _MOST_IN_LEGEND
    if few:
        colors = [colormaps["tab10" if number <= 10 else "tab20"](label) for label in range(number)]
    else:
        colors = [colormaps["turbo"](label / number) for label in range(number)]
    height = max(3.0, 1.6 + 0.16 * len(drawn.clients))
    figure = Figure(figsize=(9, height), dpi=130, layout="constrained")
    bars, sizes = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    rows = np.arange(len(drawn.clients))
    left = np.zeros(len(rows))
    for label, name in enumerate(drawn.labels):
        share = drawn.shares[:, label]
        bars.barh(rows, share, left=left, color=colors[label], height=0.9, label=_plain(name) if few else None)
        left += share
    sizes.barh(rows, drawn.counts.sum(axis=1), color="0.45", height=0.9)
    bars.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="share of the client's examples")
    bars.set_yticks(rows, [_plain(client)[:24] for client in drawn.clients], fontsize=6)
    sizes.set(xlabel="examples")
    some = "" if len(drawn.clients) == len(shares.clients) else f" ({len(drawn.clients)} clients, spread over all)"
    figure.suptitle(_plain(f"{title}{some}"), fontsize=11)
    if few:
        figure.legend(loc="outside right center", title="label", fontsize=7, title_fontsize=8)
    else:
        _color_bar(figure, bars, number)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # Ids in scripts that the font does not have are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(temporary, format="png")


def _color_bar(figure: Any, axes: Any, number: int) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.colorbar(ScalarMappable(Normalize(0, number), "turbo"), ax=axes, location="right", label="label")


def _plain(text: str) -> str:
    """Keeps Matplotlib from reading a dollar as mathematics, and a leading underscore as a name to hide."""
    text = printable(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
