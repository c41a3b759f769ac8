"""Window and stream arithmetic equals plain loops."""

from hypothesis import assume, given
from hypothesis import strategies as st

from xnorflow_hw.spec import geometry

from ..regrouped import output_beats

AXIS = {
    "size": st.integers(1, 9),
    "kernel": st.integers(1, 5),
    "stride": st.integers(1, 4),
    "dilation": st.integers(1, 3),
    "pad": st.integers(0, 5),
}


@given(**AXIS, after=st.integers(0, 5))
def test_border_classes(size, kernel, stride, dilation, pad, after):
    out = geometry.output_size(size, kernel, stride, dilation, pad, after)
    windows = [
        at
        for at in range(-pad, size + after, stride)
        if at + (kernel - 1) * dilation < size + after
    ]
    assert max(out, 0) == len(windows)
    assume(out > 0)
    classes, patterns = geometry.border_classes(size, kernel, stride, dilation, pad, out)
    assert len(set(patterns)) == len(patterns)
    assert list(dict.fromkeys(classes)) == list(range(len(patterns)))
    for at, number in zip(windows, classes, strict=True):
        taps = [at + k * dilation for k in range(kernel)]
        assert patterns[number] == tuple(tap < 0 or tap >= size for tap in taps)


@given(**AXIS)
def test_rows_kept_from(size, kernel, stride, dilation, pad):
    out = geometry.output_size(size, kernel, stride, dilation, pad, 0)
    assume(out > 0)
    kept = geometry.rows_kept_from(size, stride, pad, out)
    assert len(kept) == out and kept[-1] == size and list(kept) == sorted(kept)
    for o, row in enumerate(kept[:-1]):
        # The next window begins there, so no later one reads a row above.
        assert row == min(size, max(0, (o + 1) * stride - pad))


def test_loop_steps():
    strides, counts = (1, 7, -3, 100), (2, 3, 4)
    index, seen = 0, []
    steps = geometry.loop_steps(strides, counts)
    state = [0, 0, 0]
    expected = [
        a + 7 * b - 3 * c + 100 * d
        for d in range(2)
        for c in range(4)
        for b in range(3)
        for a in range(2)
    ]
    for _ in expected:
        seen.append(index)
        level = 0
        while level < 3 and state[level] == counts[level] - 1:
            state[level] = 0
            level += 1
        if level < 3:
            state[level] += 1
        index += steps[level]
    assert seen == expected


@given(
    unit=st.integers(1, 6),
    times=st.integers(1, 4),
    reverse=st.booleans(),
    lanes_in=st.integers(1, 7),
    lanes_out=st.integers(1, 7),
    beats=st.integers(0, 30),
)
def test_output_beats(unit, times, reverse, lanes_in, lanes_out, beats):
    group_in, group_out = (unit * times, unit) if reverse else (unit, unit * times)
    elements = in_group = 0
    for _ in range(beats):
        take = min(lanes_in, group_in - in_group)
        elements, in_group = elements + take, (in_group + take) % group_in
    count = out_group = 0
    while elements >= min(lanes_out, group_out - out_group):
        give = min(lanes_out, group_out - out_group)
        elements, out_group, count = elements - give, (out_group + give) % group_out, count + 1
    assert count == output_beats(
        beats, group_in=group_in, lanes_in=lanes_in, group_out=group_out, lanes_out=lanes_out
    )
