"""Draws a chart in a terminal: Braille characters have 2 x 4 dots each."""

from __future__ import annotations

import math

from fedcli.report.chart import Chart, Series
from fedcli.report.ticks import tick_label
from fedcli.shell import printable

_BRAILLE = 0x2800
#: A character that stands for all that a drawing needs: an encoding has every one of them, or none.
EVERY_DOT = chr(_BRAILLE + 0xFF)
#: By row and column of the dot, as Unicode numbers them.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
#: ANSI's colours, near those of the other forms.
_COLORS = (34, 33, 32, 31, 35, 36)


def draw_braille(chart: Chart, width: int = 72, height: int = 14, color: bool = False) -> str:
    """Draws the curves, without bands.

    Args:
        chart: What to draw.
        width: Characters of a line, axis included.
        height: Lines of the plot, without title, axis and legend.
        color: Write ANSI's escapes for colours. Without them the letters at the curves' ends tell them apart.
    """
    if chart.is_empty:
        return f"{printable(chart.title)}: no values to draw\n"
    (left, right), (bottom, top) = chart.x_range(), chart.y_range(bands=False)
    labels = [_label(top), _label((top + bottom) / 2), _label(bottom)]
    margin = max(map(len, labels))
    columns = max(16, width - margin - 2)
    canvas = _Canvas(columns, height)

    def place(x: float, y: float) -> tuple[int, int]:
        share = math.log(x / left) / math.log(right / left) if chart.log_x else (x - left) / (right - left)
        # The last column stays free for the letter.
        return round(share * (columns * 2 - 3)), round((top - y) / (top - bottom) * (height * 4 - 1))

    for series in chart.series:
        canvas.curve([place(x, y) for x, y in zip(series.x, series.y, strict=True)], series)
    at = {0: labels[0], (height - 1) // 2: labels[1], height - 1: labels[2]}
    lines = [f"{'':{margin}}  {printable(chart.title)}"]
    lines += [f"{at.get(row, ''):>{margin}} │{canvas.line(row, color)}".rstrip() for row in range(height)]
    first, last = tick_label_of(left), tick_label_of(right)
    name = printable(chart.x_label) + (" (log)" if chart.log_x else "")
    space = max(columns - len(first) - len(last), len(name) + 2)
    lines += [f"{'':{margin}} └{'─' * columns}", f"{'':{margin}}  {first}{name:^{space}}{last}"]
    for series in chart.series:
        text = f"{series.name}  {series.label}{'' if series.x else ' (no values)'}"
        lines.append(f"{'':{margin}}  {_paint(printable(text), series.index, color)}")
    return "\n".join(lines) + "\n"


def tick_label_of(value: float) -> str:
    """Writes the end of an axis, which is no round number, with four digits."""
    return tick_label(float(f"{value:.4g}"))


class _Canvas:
    """A grid of dots; a cell has the colour of the last curve through it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells: dict[tuple[int, int], int] = {}
        self.owners: dict[tuple[int, int], int] = {}
        self.letters: dict[tuple[int, int], str] = {}

    def curve(self, points: list[tuple[int, int]], series: Series) -> None:
        if not points:
            return
        for start, end in zip(points, points[1:] or points, strict=False):
            steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
            for step in range(steps + 1):
                x = start[0] + round((end[0] - start[0]) * step / steps)
                y = start[1] + round((end[1] - start[1]) * step / steps)
                self._dot(x, y, series.index)
        column, row = points[-1][0] // 2 + 1, points[-1][1] // 4
        cell = (min(column, self.columns - 1), row)
        # Two curves that end at one place: the letters stand above one another.
        while cell in self.letters and cell[1] > 0:
            cell = (cell[0], cell[1] - 1)
        if cell not in self.letters:
            self.letters[cell] = series.name
            self.owners[cell] = series.index

    def line(self, row: int, color: bool) -> str:
        parts = []
        for column in range(self.columns):
            cell = (column, row)
            character = self.letters.get(cell) or (chr(_BRAILLE + self.cells[cell]) if cell in self.cells else " ")
            parts.append(_paint(character[0], self.owners[cell], color) if cell in self.owners else character)
        return "".join(parts)

    def _dot(self, x: int, y: int, index: int) -> None:
        cell = (x // 2, y // 4)
        self.cells[cell] = self.cells.get(cell, 0) | _DOTS[y % 4][x % 2]
        if cell not in self.letters:
            self.owners[cell] = index


def _paint(text: str, index: int, color: bool) -> str:
    return f"\x1b[{_COLORS[index % len(_COLORS)]}m{text}\x1b[0m" if color else text


def _label(value: float) -> str:
    return f"{value:.4g}"
