"""Lines never end inside a number, between a number and its unit, or inside "8 x 8"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.folded_text import columns, folded

WORDS = st.lists(
    st.sampled_from(
        ["a", "of", "1,152", "(8", "%),", "cycles", "x", "k", "M", "±3", "frames/s", "7"]
    ),
    min_size=1,
    max_size=30,
).map(" ".join)


@given(WORDS, st.integers(24, 60), st.integers(0, 8))
def test_lines_fit_and_nothing_is_lost(text: str, width: int, hang: int) -> None:
    lines = list(folded(text, width, hang))
    assert " ".join(" ".join(lines).split()) == text
    assert all(columns(line) <= width for line in lines)
    assert all(line.startswith(" " * hang) for line in lines[1:])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("latency of 2,759 cycles", ["latency of", "2,759 cycles"]),
        ("carried 12.7 k fps", ["carried", "12.7 k fps"]),
        ("frames of 8 x 8 pixels", ["frames of", "8 x 8 pixels"]),
        ("LUT are (8 %, ±3 %)", ["LUT are (8 %,", "±3 %)"]),
        ("/a/path/longer/than/a/line it is", ["/a/path/longer/than/a/line", "it is"]),
        ("  lead ist indented", ["  lead ist", "indented"]),
        ("", [""]),
    ],
)
def test_where_lines_end(text: str, lines: list[str]) -> None:
    assert list(folded(text, 14)) == lines


def test_wide_letters_take_two_columns() -> None:
    assert columns("数") == 2 and columns("e\u0301") == 1
    assert list(folded("数数 数数", 5)) == ["数数", "数数"]
