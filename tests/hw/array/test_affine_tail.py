"""Affine tails: codes at their latency equal the formula, written in another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow_hw.array.affine_tail import AffineTail
from xnorflow_hw.spec import AffineSpec
from xnorflow_hw.spec.latency import affine_latency, multiplier_latency

from ..convert import STYLE, to_verilog
from ..verilog import lint
from .test_tail import check, drawn


def expected(spec, values, rows):
    """Compute the codes of values [n, lanes] one by one, in Python's integers."""
    found = np.zeros(values.shape, int)
    for n, lane in np.ndindex(values.shape):
        row = rows[n]
        factor = int(spec.multiply[row, lane])
        code, rest = divmod(
            int(values[n, lane]) * factor + int(spec.offset[row, lane]), 1 << spec.shift
        )
        wrong = {0: None, 1: 1, 2: 0}[int(spec.ties[row, lane])]
        if rest == 0 and code % 2 == wrong:
            code -= 1
        if 0 <= code < spec.levels and spec.late is not None and rest < factor * spec.step:
            code -= int(spec.late[row, lane, code])
        found[n, lane] = min(max(code, 0), spec.levels - 1)
    return found


def draw(rng, *, pe, acc_bits, levels, rows, shift, form, multiplier, step=1):
    """Draw constants whose codes lie below, within and above the levels."""
    most = max(1, (levels << shift) // (1 << acc_bits) * 2)
    if form == "late":
        most = max(1, min(most, ((1 << shift) - 1) // step))
    multiply = rng.integers(0, most + 1, (rows, pe))
    offset = rng.integers(-levels << shift, levels << shift, (rows, pe))
    ties = np.zeros((rows, pe), int)
    if form == "ties":
        ties = rng.integers(0, 3, (rows, pe)) if rng.random() < 0.7 else ties + rng.integers(1, 3)
    late = None
    if form == "late":
        late = rng.random((rows, pe, levels)) < 0.5
        late[:, :, 0] = False
    return AffineSpec(
        multiply,
        offset,
        shift,
        levels,
        (levels - 1).bit_length(),
        acc_bits,
        ties,
        late,
        step=step,
        multiplier=multiplier,
    )


@drawn
@given(
    pe=st.integers(1, 3),
    acc_bits=st.integers(1, 9),
    levels=st.integers(2, 40),
    rows=st.integers(1, 4),
    shift=st.integers(1, 8),
    form=st.sampled_from(["plain", "ties", "late"]),
    multiplier=st.sampled_from(["dsp", "logic"]),
    step=st.integers(1, 2),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_codes(pe, acc_bits, levels, rows, shift, form, multiplier, step, bubbles, seed):
    rng = np.random.default_rng(seed)
    spec = draw(
        rng,
        pe=pe,
        acc_bits=acc_bits,
        levels=levels,
        rows=rows,
        shift=shift,
        form=form,
        multiplier=multiplier,
        step=step,
    )
    dut = AffineTail(spec, pe=pe)
    values, row = rng.integers(0, 1 << acc_bits, (60, pe)), rng.integers(0, rows, 60)
    check(dut, values, row, expected(spec, values, row), bubbles=bubbles, seed=seed)


def one(**options):
    fields = {
        "multiply": np.array([[3]]),
        "offset": np.array([[2]]),
        "shift": 2,
        "levels": 5,
        "out_bits": 3,
        "acc_bits": 4,
        "ties": np.array([[0]]),
    }
    return AffineSpec(**fields | options)


@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
@pytest.mark.parametrize("ties", [0, 1, 2])
def test_ties_exhaustively(ties, multiplier):
    """Values are quarters; 2, 6, 10 ... are halves, and with the half that is added, ties."""
    spec = one(
        multiply=np.array([[1]]), offset=np.array([[2]]), ties=np.array([[ties]]), acc_bits=5
    )
    spec = AffineSpec(**vars(spec) | {"multiplier": multiplier})
    values = np.arange(32)[:, None]
    up, even = np.floor(values / 4 + 0.5), np.rint(values / 4)
    odd = np.where(values % 4 == 2, np.floor(values / 4) + (even == np.floor(values / 4)), even)
    rounded = {0: up, 1: even, 2: odd}[ties]
    check(AffineTail(spec, pe=1), values, np.zeros(32, int), np.clip(rounded, 0, 4).astype(int))


@pytest.mark.parametrize("late", [1, 2, 4])
def test_a_late_code_begins_one_value_later(late):
    marks = np.zeros((1, 1, 5), bool)
    marks[0, 0, late] = True
    spec = one(late=marks)
    values = np.arange(16)[:, None]
    plain = np.clip((values * 3 + 2) >> 2, 0, 4)
    first = int(np.argmax(plain[:, 0] == late))
    wanted = plain.copy()
    wanted[first] -= 1
    check(AffineTail(spec, pe=1), values, np.zeros(16, int), wanted)


def test_negative_and_large_totals_are_limited():
    spec = one(offset=np.array([[-20]]), levels=8)
    values = np.arange(16)[:, None]
    check(AffineTail(spec, pe=1), values, np.zeros(16, int), np.clip((values * 3 - 20) >> 2, 0, 7))
    spec = one(offset=np.array([[-200]]))
    check(AffineTail(spec, pe=1), values, np.zeros(16, int), 0 * values)


def test_latency_by_form():
    assert affine_latency(bits=9, multiplier="dsp", ties=False, late=False) == 4
    assert affine_latency(bits=9, multiplier="dsp", ties=True, late=False) == 5
    assert affine_latency(bits=9, multiplier="dsp", ties=False, late=True) == 6
    for bits, cycles in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)):
        assert multiplier_latency(bits=bits, multiplier="logic") == cycles
    assert one().latency == 1 + 1 + 1 + 1
    assert one(multiply=np.array([[4]])).latency == 1 + 2 + 1 + 1


@pytest.mark.parametrize("form", ["plain", "ties", "late"])
def test_several_pixels_share_their_constants(form):
    rng = np.random.default_rng(3)
    spec = draw(rng, pe=2, acc_bits=5, levels=9, rows=3, shift=4, form=form, multiplier="logic")
    dut = AffineTail(spec, pe=2, pixels=3)
    values, row = rng.integers(0, 32, (40, 3, 2)), rng.integers(0, 3, 40)
    wanted = np.stack([expected(spec, values[:, p], row) for p in range(3)], axis=1)
    check(dut, values.reshape(40, -1), row, wanted.reshape(40, -1), bubbles=0.2)


@pytest.mark.rtl
@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
@pytest.mark.parametrize("form", ["plain", "ties", "late"])
@pytest.mark.parametrize("rows", [1, 3])
def test_lint_clean(form, multiplier, rows, tmp_path):
    spec = draw(
        np.random.default_rng(1),
        pe=2,
        acc_bits=5,
        levels=9,
        rows=rows,
        shift=4,
        form=form,
        multiplier=multiplier,
    )
    text = to_verilog(AffineTail(spec, pe=2, style="verilog"))
    lint(text, tmp_path, *STYLE)
    # What is built of logic must not look like a multiplication, or tools take a DSP block for it.
    products = [line for line in text.splitlines() if " * " in line.partition("//")[0]]
    assert bool(products) == (multiplier == "dsp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offset": np.zeros((2, 1), int)}, r"shapes \(1, 1\), \(2, 1\)"),
        ({"late": np.zeros((1, 1, 4), bool)}, r"\(1, 1, 4\), not \(rows, pe, 5\)"),
        ({"multiply": np.array([[-1]])}, "negative"),
        ({"shift": -1}, "negative"),
        ({"step": 0}, "step is 0"),
        ({"step": 3}, "power of two"),
        ({"levels": 9}, "9 levels do not fit out_bits 3"),
        ({"levels": 0}, "0 levels"),
        ({"ties": np.array([[3]])}, "ties"),
        ({"multiplier": "x"}, "multiplier"),
        ({"late": np.zeros((1, 1, 5), bool), "ties": np.array([[1]])}, "have ties"),
        ({"late": np.zeros((1, 1, 5), bool), "multiply": np.array([[4]])}, "closer"),
        ({"late": np.zeros((1, 1, 5), bool), "step": 2}, "closer"),
        ({"late": np.ones((1, 1, 5), bool)}, "nothing comes before code 0"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        AffineTail(one(**options), pe=1)
