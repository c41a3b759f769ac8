"""Border classes of groups of windows equal plain loops over all windows."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow_hw.spec.borders import borders_of, grouped
from xnorflow_hw.spec.geometry import border_classes, output_size


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(1, 6))
def test_every_window_finds_its_class(columns, pixels):
    groups, kinds, classes = grouped(columns, pixels)
    assert len(groups) == -(-len(columns) // pixels) and len(kinds) == pixels
    for ox, column in enumerate(columns):
        group, window = divmod(ox, pixels)
        assert classes[groups[group]][kinds[window]] == column
    # Both are numbered as they appear, and none is there twice.
    assert list(dict.fromkeys(groups)) == list(range(len(classes)))
    assert list(dict.fromkeys(kinds)) == list(range(len(classes[0])))
    assert len(set(classes)) == len(classes)
    assert len(set(zip(*classes, strict=True))) == len(classes[0])


def test_windows_past_the_end_join_others():
    # One column of padding on both sides; the last group holds two windows, or one.
    assert grouped((0, 1, 1, 1, 2), 3) == ((0, 1), (0, 1, 1), ((0, 1), (1, 2)))
    assert grouped((0, 1, 1, 1, 1, 1, 2), 3)[1] == (0, 1, 1)
    assert grouped((0, 0, 0, 0, 0), 4) == ((0, 0), (0, 0, 0, 0), ((0,),))


def test_inner_windows_share_their_constants():
    """However many pixels there are at once, windows of three columns have three kinds."""
    columns = (0, *(1,) * 30, 2)
    assert [max(grouped(columns, pixels)[1]) + 1 for pixels in (1, 2, 4, 8, 16)] == [1, 2, 3, 3, 3]


AXIS = st.tuples(*(st.integers(1, n) for n in (8, 5, 3, 3)), *[st.integers(0, 5)] * 2)


@settings(max_examples=60)
@given(AXIS, AXIS, st.integers(1, 5))
def test_whole_frames(vertical, horizontal, pixels):
    rows, columns = output_size(*vertical), output_size(*horizontal)
    assume(min(rows, columns) > 0)
    size, kernel, stride, dilation, before, after = zip(vertical, horizontal, strict=True)
    found = borders_of(size, kernel, stride, dilation, before + after, pixels)
    row_of, row_patterns = border_classes(*vertical[:5], rows)
    column_of, patterns = border_classes(*horizontal[:5], columns)
    assert len(found.classes) == len(row_patterns) * found.group_classes
    for oy in range(rows):
        for ox in range(columns):
            group, window = divmod(ox, pixels)
            at = found.rows[oy] * found.group_classes + found.groups[group]
            expected = row_of[oy] * len(patterns) + column_of[ox]
            assert found.classes[at][found.kinds[window]] == expected
