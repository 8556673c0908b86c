import re
import xml.etree.ElementTree as ElementTree

import pytest

from fedcli.report.braille import draw_braille
from fedcli.report.chart import Chart, Series
from fedcli.report.svg import draw_svg
from fedcli.report.ticks import linear_ticks, log_ticks, tick_label

UP = Series("A", "first <b>", 0, [1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [0.0, 0.1, 0.2], [0.2, 0.3, 0.4])
FLAT = Series("B", "second", 1, [1.0, 300.0], [0.2, 0.2])
POINT = Series("C", "one point", 2, [2.0], [0.2])
TINY = Series("E", "tiny", 4, [1.0, 1.0 + 1e-16, 2.0], [0.0, 5e-324, 5e-324])
NOTHING = Series("D", "nothing", 3, [], [])


@pytest.mark.parametrize("series", [[UP], [UP, FLAT], [FLAT], [POINT], [TINY], [NOTHING], [UP, NOTHING], []])
@pytest.mark.parametrize("log_x", [False, True])
def test_any_chart_is_drawn_as_valid_xml_without_nonsense_numbers(series, log_x):
    text = draw_svg(Chart("a & b", "x", "y", series, log_x, y_line=0.25), standalone=True)
    ElementTree.fromstring(text)
    assert not re.search(r"\b(nan|inf)\b", text)
    assert text.count('class="curve"') == sum(bool(item.x) for item in series)


def test_a_scatter_has_a_dot_for_each_point():
    text = draw_svg(Chart("t", "x", "y", [POINT], is_scatter=True))
    assert text.count('class="dot"') == 2  # one is the legend's


def test_a_terminal_plot_has_its_size_its_ends_and_its_letters():
    text = draw_braille(Chart("title", "round", "y", [UP, FLAT]), width=60, height=8)
    lines = text.splitlines()
    assert len(lines) == 1 + 8 + 2 + 2
    assert max(map(len, lines)) <= 60
    assert "\x1b" not in text
    assert any("A" in line for line in lines[1:9])
    assert any("B" in line for line in lines[1:9])
    assert lines[1].startswith("0.3 │")
    assert "\x1b[34m" in draw_braille(Chart("title", "round", "y", [UP]), color=True)
    assert "no values" in draw_braille(Chart("title", "round", "y", [NOTHING]))


def test_ticks_are_round_and_inside():
    assert linear_ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert [tick_label(tick) for tick in linear_ticks(0.11, 0.42)] == ["0.2", "0.3", "0.4"]
    assert log_ticks(1, 100_000) == [1, 10, 100, 1000, 10_000, 100_000]
    assert log_ticks(3, 60) == [5, 10, 20, 50]
    assert [tick_label(value) for value in (0, 1500, 2e7, 1e-9)] == ["0", "1,500", "2e+07", "1e-09"]
