from __future__ import annotations

from pipeline.entrypoints.web.page.charts import COLOURS, HEIGHT, OTHERS, WIDTH, columns, lines, most_frequent


def test_the_most_frequent_have_a_colour_and_the_rest_share_one() -> None:
    counts = {f"reason {number}": [number, 0] for number in range(1, 10)}

    series = most_frequent(counts)

    assert [each.name for each in series] == ["reason 9", "reason 8", "reason 7", "reason 6", "reason 5", OTHERS]
    assert series[-1].total == 1 + 2 + 3 + 4
    assert [each.number for each in series] == list(range(COLOURS))


def test_columns_fill_the_height_and_stay_inside() -> None:
    series = most_frequent({"one": [1, 0, 3], "two": [1, 0, 1]})

    bars, highest = columns(series, ["a", "b", "c"])

    assert highest == 4
    assert sum(bar.height for bar in bars if bar.label.startswith("c")) == HEIGHT
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH and 0 <= bar.y <= HEIGHT for bar in bars)
    assert [bar.label for bar in bars if bar.label.startswith("b")] == []


def test_nothing_counted_is_no_column() -> None:
    assert columns([], ["a", "b"]) == ([], 0)


def test_a_line_breaks_where_there_is_no_rate() -> None:
    assert lines([1.0, None, 0.5, 0.0]) == ["0.0,0.0 250.0,0.0", "500.0,50.0 750.0,50.0 750.0,100.0 1000.0,100.0"]


def test_no_rate_at_all_is_no_line() -> None:
    assert lines([None, None]) == []
