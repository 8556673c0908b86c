"""Draws a chart as SVG, without any library: a report must open anywhere, offline."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

from fedcli.report.chart import COLORS, Chart, Series
from fedcli.report.ticks import linear_ticks, log_ticks, tick_label
from fedcli.shell import printable

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 34, 54
_LEGEND_LINE = 20
_DASHES = ("", "7 4", "2 3")
_Scale = Callable[[float], float]


def draw_svg(chart: Chart, standalone: bool = False) -> str:
    """Draws a chart.

    Args:
        chart: What to draw.
        standalone: Give it the colours of a page of its own, for a file; inside a page it takes the page's.
    """
    height = _HEIGHT + _LEGEND_LINE * len(chart.series)
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    style = ' style="background:#fff;color:#222"' if standalone else ""
    parts = [
        f'<svg{namespace} class="chart" role="img" viewBox="0 0 {_WIDTH} {height}"{style} '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor" '
        f'aria-label="{_text(chart.title)}">',
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="600">{_text(chart.title)}</text>',
    ]
    x, y = _scales(chart)
    parts += _axes(chart, x, y)
    if chart.is_empty:
        parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT / 2}" text-anchor="middle">no values to draw</text>')
    if chart.y_line is not None:
        place = _number(y(chart.y_line))
        parts.append(
            f'<path d="M{_LEFT} {place}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-dasharray="3 3"/>'
            f'<text x="{_WIDTH - _RIGHT - 4}" y="{_number(y(chart.y_line) - 5)}" text-anchor="end">target</text>'
        )
    draw = _scatter if chart.is_scatter else _curve
    # Bands first: no band may hide a curve.
    parts += [_band(series, x, y) for series in chart.series if series.low and not chart.is_scatter]
    parts += [draw(series, x, y) for series in chart.series if series.x]
    parts += [_legend(series, _HEIGHT + 6 + _LEGEND_LINE * row, chart) for row, series in enumerate(chart.series)]
    return "".join([*parts, "</svg>"])


def _scales(chart: Chart) -> tuple[_Scale, _Scale]:
    (left, right), (bottom, top) = chart.x_range(), chart.y_range()
    if chart.is_scatter:
        # Points at the edge would be cut in half.
        if chart.log_x:
            left, right = left / 1.5, right * 1.5
        else:
            left, right = left - (right - left) * 0.06, right + (right - left) * 0.06
    margin = (top - bottom) * 0.05
    bottom, top = bottom - margin, top + margin
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(value: float) -> float:
        if chart.log_x:
            return _LEFT + width * math.log(value / left) / math.log(right / left)
        return _LEFT + width * (value - left) / (right - left)

    def y(value: float) -> float:
        return _TOP + height * (top - value) / (top - bottom)

    return x, y


def _axes(chart: Chart, x: _Scale, y: _Scale) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for tick in linear_ticks(*chart.y_range()):
        place = _number(y(tick))
        parts.append(f'<path d="M{_LEFT} {place}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{place}" dy=".35em" text-anchor="end">{_text(tick_label(tick))}</text>')
    ticks = log_ticks(*chart.x_range()) if chart.log_x else linear_ticks(*chart.x_range(), about=8)
    for tick in ticks:
        place = _number(x(tick))
        parts.append(f'<path d="M{place} {bottom}v5" stroke="currentColor" stroke-opacity=".6"/>')
        parts.append(f'<text x="{place}" y="{bottom + 18}" text-anchor="middle">{_text(tick_label(tick))}</text>')
    parts.append(
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" stroke-opacity=".6"/>'
    )
    label = chart.x_label + (" (logarithmic)" if chart.log_x else "")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 38}" text-anchor="middle">{_text(label)}</text>')
    upright = (_TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(14 {upright}) rotate(-90)" text-anchor="middle">{_text(chart.y_label)}</text>'
    )
    return parts


def _curve(series: Series, x: _Scale, y: _Scale) -> str:
    points = list(zip(series.x, series.y, strict=True))
    line = "L".join(_point(x(a), y(b)) for a, b in points)
    mark = f'<path class="curve" d="M{line}" fill="none" stroke="{_color(series)}" stroke-width="2" {_dash(series)}/>'
    if len(points) == 1:  # a line of one point is invisible
        mark += _dot(series, x(points[0][0]), y(points[0][1]))
    return mark


def _band(series: Series, x: _Scale, y: _Scale) -> str:
    upper = [_point(x(a), y(b)) for a, b in zip(series.x, series.high, strict=True)]
    lower = [_point(x(a), y(b)) for a, b in zip(series.x, series.low, strict=True)]
    outline = "L".join(upper + lower[::-1])
    return f'<path class="band" d="M{outline}Z" fill="{_color(series)}" fill-opacity=".18"/>'


def _scatter(series: Series, x: _Scale, y: _Scale) -> str:
    place_x, place_y = x(series.x[0]), y(series.y[0])
    bar = ""
    if series.low:
        ends = f"{_number(y(series.low[0]))}V{_number(y(series.high[0]))}"
        bar = f'<path d="M{_number(place_x)} {ends}" stroke="{_color(series)}" stroke-width="2"/>'
    name = f'<text x="{_number(place_x + 9)}" y="{_number(place_y - 7)}">{_text(series.name)}</text>'
    return bar + _dot(series, place_x, place_y) + name


def _legend(series: Series, top: float, chart: Chart) -> str:
    missing = "" if series.x else " (no values)"
    if chart.is_scatter:
        mark = _dot(series, _LEFT + 14, top)
    else:
        mark = f'<path d="M{_LEFT} {top}h28" stroke="{_color(series)}" stroke-width="3" {_dash(series)}/>'
    label = f"{series.name}  {series.label}{missing}"
    if len(label) > 84:
        label = f"{label[:81]}..."
    return f'{mark}<text x="{_LEFT + 38}" y="{top}" dy=".35em">{_text(label)}</text>'


def _dot(series: Series, x: float, y: float) -> str:
    return f'<circle class="dot" cx="{_number(x)}" cy="{_number(y)}" r="5" fill="{_color(series)}"/>'


def _color(series: Series) -> str:
    return COLORS[series.index % len(COLORS)]


def _dash(series: Series) -> str:
    dashes = _DASHES[series.index // len(COLORS) % len(_DASHES)]
    return f'stroke-dasharray="{dashes}"' if dashes else ""


def _point(x: float, y: float) -> str:
    return f"{_number(x)} {_number(y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return escape(printable(text))
