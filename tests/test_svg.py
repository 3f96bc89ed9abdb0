import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.svg import (
    HEIGHT,
    WIDTH,
    attention_map,
    bars,
    chart,
    confusion_matrix,
    heat_map,
    log_ticks,
    page,
    ticks,
)

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e9, 1e9)


def parsed(*charts):
    """(texts, paths) of a page, which must be well-formed XML, with finite numbers in its paths."""
    root = ET.fromstring(page(charts))
    paths = [path.get("d") for path in root.iter(f"{SVG}path")]
    assert not any(word in path for path in paths for word in ("nan", "inf"))
    return [text.text for text in root.iter(f"{SVG}text")], paths


def curve(paths):
    """The points of the one polyline with several points, or of a single-point path."""
    return [[tuple(map(float, p.split())) for p in path[1:].split("L")] for path in paths
            if re.fullmatch(r"M-?[\d.]+ -?[\d.]+(L-?[\d.]+ -?[\d.]+)*", path)]


def test_a_line_goes_where_its_numbers_say():
    texts, paths = parsed(chart("Loss", "step", "nats", {"training": [(0, 10), (50, 20), (100, 0)]}))
    assert {"Loss", "step", "nats", "training"} <= set(texts)
    (x0, y0), (x1, y1), (x2, y2) = curve(paths)[0]
    assert 0 <= x0 < x1 < x2 <= WIDTH and x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert 0 <= y1 < y0 < y2 <= HEIGHT and y2 - y1 == pytest.approx(2 * (y0 - y1), abs=0.3)      # SVG's y goes down


def test_tick_labels_stand_at_their_values():
    root = ET.fromstring(page([chart("t", "x", "y", {"a": [(0, 0), (100, 1)]})]))
    along = {text.text: float(text.get("x")) for text in root.iter(f"{SVG}text")
             if text.get("y") == str(HEIGHT + 16)}
    assert {"0", "20", "100"} <= along.keys()
    (x0, _), (x1, _) = curve([p.get("d") for p in root.iter(f"{SVG}path")])[0]
    assert along["0"] == pytest.approx(x0, abs=0.1) and along["100"] == pytest.approx(x1, abs=0.1)
    assert along["20"] == pytest.approx(x0 + (x1 - x0) / 5, abs=0.2)


def test_few_points_are_shown():
    root = ET.fromstring(page([chart("t", "x", "y", {"one": [(3, 7)], "two": [(0, 0), (6, 14)],
                                                     "many": [(k, k) for k in range(40)]})]))
    dots = [(float(dot.get("cx")), float(dot.get("cy")), dot.get("fill")) for dot in root.iter(f"{SVG}circle")]
    (x, y, colour), (x0, y0, other), (x1, y1, _) = dots
    assert colour != other and 2 * x == pytest.approx(x0 + x1, abs=0.2) and 2 * y == pytest.approx(y0 + y1, abs=0.2)


def test_levels_are_dashed_lines_in_the_range_of_the_chart():
    texts, paths = parsed(chart("t", "x", "y", {"a": [(0, 0), (1, 1)]}, {"floor": 5.0}))
    assert "floor 5.00" in texts
    level = [path for path in paths if re.fullmatch(rf"M0 [\d.]+H{WIDTH}", path)]
    assert any(0 <= float(path[3:-len(f'H{WIDTH}')]) < HEIGHT / 2 for path in level)
    assert 'stroke-dasharray="6 4"' in page([chart("t", "x", "y", {}, {"floor": 5.0})])


def test_what_is_not_finite_is_left_out():
    nan, inf = math.nan, math.inf
    texts, paths = parsed(chart("t", "x", "y", {"a": [(0, 1), (1, nan), (2, inf), (nan, 3), (4, 2)], "b": [(1, nan)]},
                                {"floor": nan, "ceiling": inf, "level": 1.0}))
    assert len(curve(paths)[0]) == 2
    assert "a" in texts and "b" not in texts and "level 1.00" in texts
    assert not any(text.startswith(("floor", "ceiling")) for text in texts)


def test_names_are_escaped():
    texts, _ = parsed(chart("a < b & c", "<x>", '"y"', {"</svg>": [(0, 0)]}, {"&amp;": 1.0}))
    assert {"a < b & c", "<x>", '"y"', "</svg>", "&amp; 1.00"} <= set(texts)


@pytest.mark.parametrize("charts", [[], [chart("t", "x", "y", {})], [chart("t", "x", "y", {"a": []})],
                                    [chart("t", "x", "y", {"a": [(3, 7)]})],
                                    [chart("t", "x", "y", {"a": [(0, 1e30), (1, 1e30)]})],
                                    [chart("t", "x", "y", {f"line {i}": [(0, i)] for i in range(9)})]])
def test_charts_with_little_in_them(charts):
    parsed(*charts)


def test_several_charts_stand_one_below_the_other():
    root = ET.fromstring(page([chart(str(i), "x", "y", {"a": [(0, i), (1, 2)]}) for i in range(3)]))
    tops = [int(re.search(r",(\d+)\)", group.get("transform"))[1]) for group in root.iter(f"{SVG}g")]
    assert len(tops) == 3 and all(b - a > HEIGHT for a, b in zip(tops, tops[1:], strict=False))
    assert tops[-1] + HEIGHT < int(root.get("height"))


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.floats(1e-6, 1e9), st.integers(3, 12))
def test_ticks_are_round_numbers_within_the_range(low, width, about):
    high = low + max(width, 1e-6 * abs(low))
    found = ticks(low, high, about)
    slack = 1e-6 * (high - low)
    assert 1 <= len(found) <= about + 1
    assert all(low - slack <= tick <= high + slack for tick in found)
    steps = {round(b - a, 12) for a, b in zip(found, found[1:], strict=False)}
    for step in steps:
        digits = f"{step:.4e}"
        assert digits.startswith(("1.0000", "2.0000", "5.0000"))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("abc<&", min_size=1), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5), max_size=8),
       st.dictionaries(st.text("de\"'"), NUMBERS, max_size=3))
def test_any_numbers_make_a_picture(lines, levels):
    _, paths = parsed(chart("t", "x", "y", lines, levels))
    for points in curve(paths):
        assert all(-0.1 <= x <= WIDTH + 0.1 and -0.1 <= y <= HEIGHT + 0.1 for x, y in points)


def test_on_logarithmic_axes_powers_are_straight():
    lines = {"square": [(x, 5 * x**2) for x in (1, 10, 100)], "line": [(x, x) for x in (1, 10, 100)]}
    _, paths = parsed(chart("t", "x", "y", lines, log="xy"))
    slopes = []
    for (x0, y0), (x1, y1), (x2, y2) in curve(paths)[:2]:
        assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
        slopes.append((y2 - y0) / (x2 - x0))
    assert slopes[0] == pytest.approx(2 * slopes[1], rel=0.01)
    _, paths = parsed(chart("t", "x", "y", {"a": [(1, 1), (2, 10), (3, 100)]}, log="y"))
    (x0, y0), (x1, y1), (x2, y2) = curve(paths)[0]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y1 - y0 == pytest.approx(y2 - y1, abs=0.2)


def test_logarithmic_axes_leave_out_what_has_no_logarithm():
    texts, paths = parsed(chart("t", "x", "y", {"a": [(0, 1), (1, 0), (2, -1), (3, 5), (4, 6)], "b": [(-1, 3)]},
                                {"zero": 0.0, "one": 1.0}, log="xy"))
    assert len(curve(paths)[0]) == 2 and "b" not in texts and "one 1.00" in texts and "zero 0.00" not in texts
    texts, paths = parsed(chart("t", "x", "y", {"a": [(0, 1), (1, 0), (2, 3)]}, log="y"))
    assert len(curve(paths)[0]) == 2                    # 0 may stand on the other axis


def test_logarithmic_ticks_stand_at_their_values():
    root = ET.fromstring(page([chart("t", "x", "y", {"a": [(1, 0), (1000, 1)]}, log="x")]))
    along = {text.text: float(text.get("x")) for text in root.iter(f"{SVG}text")
             if text.get("y") == str(HEIGHT + 16)}
    (x0, _), (x1, _) = curve([p.get("d") for p in root.iter(f"{SVG}path")])[0]
    for label, place in (("1", x0), ("10", x0 + (x1 - x0) / 3), ("1000", x1)):
        assert along[label] == pytest.approx(place, abs=0.2)


@settings(max_examples=200, deadline=None)
@given(st.floats(-12, 12), st.floats(0.05, 24))
def test_logarithmic_ticks_are_round_numbers_within_the_range(low, width):
    found = log_ticks(low, low + width)
    assert 1 <= len(found) <= 19 and found == sorted(found)
    assert all(low - 1e-6 <= math.log10(tick) <= low + width + 1e-6 for tick in found)
    if width >= 0.5:
        assert all(f"{tick:.6e}"[0] in "125" and f"{tick:.6e}"[1:8] == ".000000" for tick in found)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5), max_size=3),
       st.sampled_from(["x", "y", "xy"]))
def test_any_numbers_make_a_logarithmic_picture(lines, log):
    _, paths = parsed(chart("t", "x", "y", lines, log=log))
    for points in curve(paths):
        assert all(-0.1 <= x <= WIDTH + 0.1 and -0.1 <= y <= HEIGHT + 0.1 for x, y in points)


# ---- attention -------------------------------------------------------------------------------------------------------

def test_attention_map():
    rows, columns = ["it", "<b>"], ["the", "cat", "&"]
    text = attention_map("head 3", rows, columns, [[0.1, 0.8, 0.1], [0.0, 0.4, 0.6]], most=2)
    root = ET.fromstring(text)
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert texts == ["head 3, black: 80%", "the", "cat", "&", "it", "<b>"]
    assert [one.text for one in root.iter(f"{SVG}title")] == ["it looks at cat 80%, the 10%",
                                                             "<b> looks at & 60%, cat 40%"]
    lines = [group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
    cells = [[(int(cell.get("x")), float(cell.get("fill-opacity"))) for cell in line.iter(f"{SVG}rect")
              if cell.get("fill-opacity")] for line in lines]
    assert cells == [[(0, 0.12), (12, 1.0), (24, 0.12)], [(12, 0.5), (24, 0.75)]]
    assert [line.get("transform") for line in lines] == ["translate(0,0)", "translate(0,12)"]


@pytest.mark.parametrize("shares", [[], [[0.0, 0.0]], [[1.0, 0.0]]])
def test_attention_maps_with_little_in_them(shares):
    ET.fromstring(attention_map("t", ["a"][:len(shares)], ["b", "c"], shares))


def test_an_attention_map_holds_all_its_cells():
    size = 30
    root = ET.fromstring(attention_map("t", ["row"] * size, ["column"] * size, [[1 / size] * size] * size))
    group = next(g for g in root.iter(f"{SVG}g") if g.get("font-size"))
    left, top = map(int, re.fullmatch(r"translate\((\d+),(\d+)\)", group.get("transform")).groups())
    assert left + 12 * size <= int(root.get("width")) and top + 12 * size <= int(root.get("height"))
    assert sum(bool(cell.get("fill-opacity")) for cell in root.iter(f"{SVG}rect")) == size * size


def cells(text):
    """[(x, y, colour), ...] of a heat map's numbers, and the texts of the picture."""
    root = ET.fromstring(text)
    return ([(int(r.get("x")), int(r.get("y")), r.get("fill")) for r in root.iter(f"{SVG}rect")
             if r.get("width") == "44"], [one.text for one in root.iter(f"{SVG}text")])


def test_wide_labels_have_room():
    def left(label):
        return cells(heat_map("t", [label], [[1.0]], ["x"]))[0][0][0]

    assert left("苹果") - left("a") == 24 - 7


def test_a_heat_map_names_both_axes_and_fits_its_numbers():
    found, texts = cells(heat_map("t", ["a", "b"], [[0.5, 0.6], [0.7, math.nan]], ["<x>", "y"]))
    assert [colour for *_, colour in found] == ["rgb(255,255,255)", "rgb(255,128,128)", "rgb(255,0,0)", "#ddd"]
    assert {"a", "b", "<x>", "y", "0.70", "0.60", "0.50"} <= set(texts)
    assert len({(x, y) for x, y, _ in found}) == 4
    found, texts = cells(heat_map("t", ["a", "b"], [[0.0, -0.2], [0.1, 0.2]]))
    assert [colour for *_, colour in found] == ["rgb(255,255,255)", "rgb(0,0,255)", "rgb(255,127,127)", "rgb(255,0,0)"]
    assert texts.count("a") == 2 and texts[-3:] == ["0.20", "0.00", "-0.20"]


# ---- bars ------------------------------------------------------------------------------------------------------------

def boxes(chart):
    """{title: (top, bottom)} of the bars of a chart, and all texts."""
    root = ET.fromstring(page([chart]))
    return ({r[0].text: (float(r.get("y")), float(r.get("y")) + float(r.get("height")))
             for r in root.iter(f"{SVG}rect") if len(r)}, [text.text for text in root.iter(f"{SVG}text")])


def test_bars_stand_on_zero_and_end_at_their_values():
    found, texts = boxes(bars("t", "nats", {"one": {"a": 2.0, "b": (1.0, 0.5)}, "<two>": {"b": -1.0}}, {"level": 1.5}))
    (top_a, zero), (top_b, foot), (under, low) = (found[name] for name in (
        "one, a: 2.000", "one, b: 1.000", "<two>, b: -1.000"))
    assert zero == pytest.approx(foot, abs=0.2) and foot == pytest.approx(under, abs=0.2)
    assert zero - top_a == pytest.approx(2 * (foot - top_b), abs=0.3)
    assert low - under == pytest.approx(foot - top_b, abs=0.3)
    assert 0 <= top_a < low <= HEIGHT and {"t", "nats", "one", "<two>", "a", "b", "level 1.50"} <= set(texts)


def test_bars_do_not_overlap_and_long_names_are_wrapped():
    text = page([bars("t", "y", {name: {f"a category of many words {i}": (i + 1, 0.1) for i in range(6)}
                                 for name in "abc"})])
    root = ET.fromstring(text)
    spans = sorted((float(r.get("x")), float(r.get("width"))) for r in root.iter(f"{SVG}rect") if len(r))
    assert len(spans) == 18 and all(x + wide <= other for (x, wide), (other, _) in zip(spans, spans[1:], strict=False))
    assert max(len(one.text) for one in root.iter(f"{SVG}text") if one.text.startswith("a cat")) <= WIDTH / 6 / 7


@pytest.mark.parametrize("series", [{}, {"a": {}}, {"a": {"b": math.nan}}, {"a": {"b": (1.0, math.nan)}},
                                    {"a": {"b": (0.0, 0.0)}}])
def test_bars_of_little(series):
    assert "nan" not in page([bars("t", "y", series)])


# ---- confusion matrices ----------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=3, max_size=3))
def test_a_confusion_matrix(counts):
    """Every count but 0 stands in its cell, as dark as its share of the row; the diagonal has its own colour."""
    names = ["<good>", "a long name & more", "标签"]
    root = ET.fromstring(confusion_matrix("dev", names, counts))
    cells = [(group.find(f"{SVG}title").text, group.find(f"{SVG}rect"), group.find(f"{SVG}text"))
             for group in root.iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
    assert len(cells) == 9
    colours = [set(), set()]
    for place, (title, rect, text) in enumerate(cells):
        i, j = divmod(place, 3)
        assert title == f"{names[i]} predicted as {names[j]}: {counts[i][j]} of {sum(counts[i])}"
        assert (text is None) == (counts[i][j] == 0) and (text is None or text.text == str(counts[i][j]))
        assert float(rect.get("x")) * 3 == j * 3 * float(rect.get("width"))
        assert float(rect.get("y")) == i * float(rect.get("height"))
        assert float(rect.get("fill-opacity")) == pytest.approx(counts[i][j] / max(1, sum(counts[i])), abs=1e-3)
        assert text is None or 7 * len(text.text) < float(rect.get("width"))
        colours[i == j].add(rect.get("fill"))
    assert len(colours[0]) == len(colours[1]) == 1 and colours[0] != colours[1]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"dev", "gold", "predicted"} <= set(texts) and all(texts.count(name) == 2 for name in names)
