"""Samples and scores are laid out in beats, and read back from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow_sim.interface import SCORE_BITS, Interface, Tap


def interface(**changed: object) -> Interface:
    fields = {
        "top": "net", "in_lanes": 2, "in_group": 3, "frame": 6, "out_lanes": 2, "out_bits": 16,
        "classes": 3,
    }  # fmt: skip
    return Interface(**(fields | changed))  # type: ignore[arg-type]


def test_each_group_starts_a_beat_and_its_last_beat_is_filled_with_zeros() -> None:
    beats = interface().pack(np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3))
    assert beats.tolist() == [[[1, 2], [3, 0], [4, 5], [6, 0]]]
    assert interface().in_beats == 4


def test_scores_are_read_lowest_lane_first_and_sign_extended() -> None:
    raw = np.array([[[0xFE, 0xFF, 0x01, 0x00], [0x00, 0x80, 0x77, 0x77]]], np.uint8)
    assert interface().unpack(raw).tolist() == [[-2, 1, -32768]]


@given(st.data())
def test_scores_survive_packing(data: st.DataObject) -> None:
    bits = data.draw(st.sampled_from(SCORE_BITS))
    io = interface(
        out_bits=bits, out_lanes=data.draw(st.integers(1, 5)), classes=data.draw(st.integers(1, 7))
    )
    value = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    row = st.lists(value, min_size=io.classes, max_size=io.classes)
    scores = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), np.int64)
    beats = io.pack_scores(scores)
    assert beats.shape == (len(scores), io.out_beats, io.out_bytes)
    assert (io.unpack(beats) == scores).all()


@given(st.integers(1, 6), st.integers(1, 64), st.data())
def test_a_tap_reads_any_width(lanes: int, bits: int, data: st.DataObject) -> None:
    tap = Tap("t", lanes, bits, beats=1)
    value = st.integers(0, 2**bits - 1)
    features = data.draw(st.lists(value, min_size=lanes, max_size=lanes))
    word = sum(feature << (bits * lane) for lane, feature in enumerate(features))
    raw = np.frombuffer(word.to_bytes(tap.bytes, "little"), np.uint8).reshape(1, 1, -1)
    assert tap.unpack(raw).tolist() == [[features]]


@pytest.mark.parametrize(
    "changed",
    [
        {"frame": 7},
        {"out_bits": 12},
        {"out_bits": 72},
        {"in_lanes": 0},
        {"classes": 0},
        {"top": "a b"},
        {"top": ""},
    ],
)
def test_an_impossible_interface_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        interface(**changed)


def test_frames_and_scores_of_the_wrong_form_are_refused() -> None:
    io = interface(out_bits=8)
    for bad in (np.zeros((2, 5), np.uint8), np.zeros((2, 6), np.int64), np.zeros(6, np.uint8)):
        with pytest.raises(ValueError, match="need uint8"):
            io.pack(bad)
    with pytest.raises(ValueError, match="do not fit 8 bits"):
        io.pack_scores(np.array([[0, 0, 128]]))
    with pytest.raises(ValueError, match="need"):
        io.pack_scores(np.zeros((1, 4), np.int64))


def test_wide_samples_take_two_bytes_the_lower_first() -> None:
    io = Interface("net", 2, 3, 6, 1, 8, 1, sample_bytes=2)
    assert (io.in_bytes, io.ports["s_axis_tdata"], io.defines["IN_BYTES"]) == (4, 32, 4)
    beats = io.pack(np.array([[1, 0x203, 3, 4, 0xFFFF, 6]], np.uint16))
    assert beats.reshape(-1, 4).tolist() == [
        [1, 0, 3, 2],
        [3, 0, 0, 0],
        [4, 0, 0xFF, 0xFF],
        [6, 0, 0, 0],
    ]
    with pytest.raises(ValueError, match="need uint16"):
        io.pack(np.zeros((1, 6), np.uint8))
    with pytest.raises(ValueError, match="sample_bytes=3"):
        Interface("net", 2, 3, 6, 1, 8, 1, sample_bytes=3)
