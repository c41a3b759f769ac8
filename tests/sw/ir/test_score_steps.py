"""Steps of scores: float32 arithmetic in integers, and what a file may not say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.ir import file as ir_file
from xnorflow.ir.score_steps import MAX_SCORE_BITS, MAX_STEPS, check_steps, ranges, rounded, run
from xnorflow.ir.verify import verify


def step(multiply, add, shift=0):
    return ir.ScoreStep(np.array(multiply, np.int64), np.array(add, np.int64), shift)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(-(1 << 53), 1 << 53), st.integers(0, 40))
def test_rounding_is_that_of_float32(value, drop):
    value >>= drop
    assert int(rounded(np.array([value]))[0]) == int(np.float32(float(value)))


@pytest.mark.parametrize("bits", [23, 24, 25, 40, 61])
def test_rounding_around_powers_of_two_and_ties(bits):
    """Python's own integers: a value of 25 bits more than the significant ones has a half."""
    near = [s * ((1 << bits) + d) for s in (1, -1) for d in range(-6, 7)]
    half = max(0, bits - 24)
    near += [((1 << 23) + k) * (1 << half) + (1 << half >> 1) for k in range(4)]
    for value in near:
        drop = max(0, abs(value).bit_length() - 24)
        low = value >> drop
        rest = value - (low << drop)
        up = 2 * rest > 1 << drop or (drop and 2 * rest == 1 << drop and low & 1)
        assert int(rounded(np.array([value]))[0]) == (low + bool(up)) << drop


def test_a_chain_is_what_float32_computes():
    rng = np.random.default_rng(0)
    a, b = rng.integers(1 << 20, 1 << 24, 5), rng.integers(-(1 << 30), 1 << 30, 5)
    b = rounded(b)
    values = rng.integers(-3000, 3000, (400, 5))
    chain = (step(a, 0 * a), step(0 * a + 4, b))
    x = values.astype(np.float32) * a.astype(np.float32)
    x = x * np.float32(4) + b.astype(np.float32)
    np.testing.assert_array_equal(run(chain, values), x.astype(np.int64))


def test_ranges_are_reached_and_hold_every_value():
    chain = (step([3, -70000], [0, 0], 1), step([8, 8], [-5, 90000]))
    low, high = np.array([-400, 0]), np.array([500, 300])
    found = ranges(chain, low, high)
    values = np.linspace(low, high, 901, dtype=np.int64)
    for k, one in enumerate(found):
        values = values * chain[k].multiply
        assert (values.min(), values.max()) == one.product
        values = values + chain[k].add
        assert (values.min(), values.max()) == one.total
        values = rounded(values) >> chain[k].shift
        assert (values.min(), values.max()) == one.result


def network(steps, **options):
    dense = ir.Conv("dense", np.ones((2, 1, 1, 3), np.int64), ir.BIPOLAR)
    scores = ir.Scores("scores", np.zeros(2, np.int64), steps=steps, **options)
    return ir.IntegerNetwork("net", (1, 1, 3), (dense, scores))


STEPS = (step([3, -5], [0, 0]), step([4, 4], [7, -9], 1))


def test_a_network_with_steps_is_read_as_written(tmp_path):
    net = network(STEPS, exponent=-20)
    verify(net)
    ir_file.save(net, tmp_path / "net.npz")
    read = ir_file.load(tmp_path / "net.npz")
    assert read.digest == net.digest
    x = np.random.default_rng(0).integers(0, 256, (20, 1, 1, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read(x), net(x))
    sums = x.reshape(20, 3).sum(1)
    np.testing.assert_array_equal(net(x)[:, 0], (12 * sums + 7) >> 1)
    assert read.scores.to_float(net(x)).dtype == np.float32
    np.testing.assert_array_equal(read.scores.to_float(net(x)), net(x) / 2.0**20)


def test_scores_without_steps_are_written_as_ever(tmp_path):
    """A file says nothing of steps that are not there, as before there were any."""
    net = network(())
    ir_file.save(net, tmp_path / "net.npz")
    header = str(np.load(tmp_path / "net.npz")["header"])
    assert not any(word in header for word in ("steps", "exponent", "factor"))
    assert ir_file.load(tmp_path / "net.npz").scores.factor == 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step([1, 1], [0, 0])], "no chain"),
        ((1,), "no chain"),
        ((step([1, 1], [0, 0]),) * (MAX_STEPS + 1), "no chain"),
        ((step([1], [0, 0]),), "not for 2 classes"),
        ((step([1, 1], [0]),), "not for 2 classes"),
        ((ir.ScoreStep(np.ones(2), np.zeros(2, np.int64), 0),), "int64"),
        ((step([1, 1], [0, 0], -1),), "shift"),
        ((step([1, 1], [0, 0], MAX_SCORE_BITS + 1),), "shift"),
        ((step([1, 1], [0, 0], True),), "shift"),
        ((step([1 << 53, 1], [0, 0]),), "too wide"),
        ((step([1, 1], [1 << 62, 0]),), "too wide"),
        ((step([1 << 40, 1], [0, 0]), step([1 << 40, 1], [0, 0])), "too wide"),
        ((step([-(1 << 62), 1], [-(1 << 62), 0]),), "too wide"),
    ],
)
def test_hostile_steps_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        verify(network(steps))


def test_the_widest_steps():
    check_steps((step([1, 1], [(1 << 62) - 1 - 765, 0]),), 2, 0, 765)
    with pytest.raises(ValueError, match="too wide"):
        check_steps((step([1, 1], [(1 << 62) - 765, 0]),), 2, 0, 765)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0}, "factor"),
        ({"factor": (1 << 16) + 1}, "factor"),
        ({"factor": 1.0}, "factor"),
        ({"exponent": 257}, "exponent"),
        ({"exponent": 0.5}, "exponent"),
        ({"factor": 2, "steps": STEPS}, "two forms"),
        ({"offsets": np.array([0, 1]), "steps": STEPS}, "two forms"),
        (
            {
                "steps": STEPS,
                "ranks": np.zeros((2, 766), np.int64),
                "rank_lo": np.zeros(2, np.int64),
            },
            "ranks and steps",
        ),
        (
            {"factor": 2, "ranks": np.zeros((2, 766), np.int64), "rank_lo": np.zeros(2, np.int64)},
            "two forms",
        ),
    ],
)
def test_forms_do_not_mix(options, message):
    net = network(())
    bad = replace(net, layers=(net.layers[0], replace(net.scores, **options)))
    with pytest.raises(ValueError, match=message):
        verify(bad)


def test_a_file_with_odd_steps_is_refused(tmp_path):
    net = network(STEPS)
    ir_file.save(net, tmp_path / "net.npz")
    arrays = dict(np.load(tmp_path / "net.npz"))
    header = str(arrays.pop("header"))
    for change in ('{"step": [1, 2, 3]}', '{"array": "1.steps.0.add"}', "7"):
        start = header.index('{"step"')
        end = header.index("}", header.index("add", start)) + 4
        altered = header[:start] + change + header[header.index("}", end - 2) + 1 :]
        np.savez(tmp_path / "bad.npz", header=np.array(altered), **arrays)
        with pytest.raises(BadInput, match="is not a network that xnorflow wrote"):
            ir_file.load(tmp_path / "bad.npz")
    del arrays["1.steps.0.multiply"]
    np.savez(tmp_path / "bad.npz", header=np.array(header), **arrays)
    with pytest.raises(BadInput, match="is not a network that xnorflow wrote"):
        ir_file.load(tmp_path / "bad.npz")


def test_a_multiple_of_the_sums():
    net = network(())
    net = replace(
        net,
        layers=(net.layers[0], replace(net.scores, offsets=np.array([5, -7]), factor=3)),
    )
    verify(net)
    x = np.full((1, 1, 1, 3), 10, np.uint8)
    np.testing.assert_array_equal(net(x), [[95, 83]])
    assert (net.features[-1].alphabet.lo, net.features[-1].alphabet.hi) == (-7, 3 * 765 + 5)
