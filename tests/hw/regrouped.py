"""A count of the beats that pass a gearbox, for what its tests are held to."""

from xnorflow_hw.spec.geometry import ceil_div


def elements_after(beats: int, group: int, lanes: int) -> int:
    """Return the number of elements in the first `beats` beats of a stream of groups."""
    groups, rest = divmod(beats, ceil_div(group, lanes))
    return groups * group + min(rest * lanes, group)


def beats_possible(elements: int, group: int, lanes: int) -> int:
    """Return the number of beats of a stream of groups that its first `elements` elements complete.

    The last beat of a group is complete with the last element of the group, even if lanes are left.
    """
    groups, rest = divmod(elements, group)
    return groups * ceil_div(group, lanes) + rest // lanes


def output_beats(
    beats: int, *, group_in: int, lanes_in: int, group_out: int, lanes_out: int
) -> int:
    """Return the number of output beats that a gearbox completes with `beats` input beats."""
    return beats_possible(elements_after(beats, group_in, lanes_in), group_out, lanes_out)
