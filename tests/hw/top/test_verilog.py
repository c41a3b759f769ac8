"""Array and tails as Verilog: lint-clean, deterministic, and equal to the models in Verilator."""

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.array.tail import OffsetTail, TableTail, ThresholdTail
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.fabric.primitives import PROLOGUE

from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint, simulate

PE, SIMD, BITS, BEATS, ROWS, ACC = 3, 16, 2, 4, 5, 9


class Chain(wiring.Component):
    """An array and, side by side, one tail of each kind; some memories are images."""

    def __init__(self, style, rows=ROWS, beats=BEATS):
        rng = np.random.default_rng(11)
        options = {"style": style, "image_bits": 700}
        tail = {"pe": PE, "acc_bits": ACC, **options}
        self.array = DotArray(
            pe=PE,
            simd=SIMD,
            bits=BITS,
            coefficients=(1, 1),
            acc_bits=ACC,
            rows=rows,
            weights=rng.integers(0, 2, (rows * beats, 2, PE, SIMD)).astype(np.uint8),
            **options,
        )
        thresholds = np.sort(rng.integers(100, 260, (rows, PE, 6)), axis=2)
        self.tails = {
            "codes": ThresholdTail(thresholds=thresholds, name="thresholds", **tail),
            "scores": OffsetTail(
                multiply=3,
                offset=rng.integers(-900, 50, (rows, PE)),
                shift=1,
                out_bits=12,
                name="offsets",
                **tail,
            ),
            "ranks": TableTail(
                table=rng.integers(0, 32, (rows, PE, 1 << ACC)), out_bits=5, name="ranks", **tail
            ),
        }
        parts = [self.array, *self.tails.values()]
        self.modules = {name: text for part in parts for name, text in part.modules.items()}
        self.images = {name: text for part in parts for name, text in part.images.items()}
        # All tails are delayed to the latency of the slowest.
        self.after = max(tail.latency for tail in self.tails.values())
        self.latency = self.array.latency + self.after
        outputs = {name: Out(PE * tail.out_bits) for name, tail in self.tails.items()}
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(SIMD * BITS),
                "i_first": In(1),
                "i_last": In(1),
                "i_row": In(index_shape(rows)),
                "o_valid": Out(1),
                **outputs,
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = self.array
        for name in ("valid", "data", "first", "last", "row"):
            m.d.comb += getattr(array, f"i_{name}").eq(getattr(self, f"i_{name}"))
        for name, tail in self.tails.items():
            m.submodules[name] = tail
            m.d.comb += [
                tail.i_valid.eq(array.o_valid),
                tail.i_values.eq(array.o_values),
                tail.i_row.eq(array.o_row),
            ]
            late = delay(m, tail.o_values, self.after - tail.latency, name=f"late_{name}")
            m.d.comb += getattr(self, name).eq(late)
        m.d.comb += self.o_valid.eq(delay(m, array.o_valid, self.after, name="all", reset=True))
        return m

    def text(self):
        generated = verilog.convert(self, name="top", emit_src=False)
        return "\n".join([generated, PROLOGUE, *(self.modules[n] for n in sorted(self.modules))])


def stimuli():
    """Return random reductions as beats (None: bubble), and their codes [n, beats, simd]."""
    codes = np.random.default_rng(12).integers(0, 1 << BITS, (60, BEATS, SIMD))
    beats = (
        {
            "i_data": pack(codes[r, b], BITS),
            "i_first": int(b == 0),
            "i_last": int(b == BEATS - 1),
            "i_row": r % ROWS,
        }
        for r in range(len(codes))
        for b in range(BEATS)
    )
    return with_bubbles(beats, 13, 0.15), codes


def expected(chain, beats, codes):
    """Return the cycle and packed outputs of every pulse, from the models."""
    sums = chain.array.model(codes)
    rows = np.arange(len(codes)) % ROWS
    results = {name: tail.model(sums, rows) for name, tail in chain.tails.items()}
    ends = [cycle for cycle, beat in enumerate(beats) if beat is not None and beat["i_last"]]
    return [
        (end + chain.latency, *(pack(results[n][r], t.out_bits) for n, t in chain.tails.items()))
        for r, end in enumerate(ends)
    ]


def test_chain_in_amaranth():
    chain = Chain("amaranth")
    beats, codes = stimuli()
    events = run_pulses(chain, beats, list(chain.tails), count=len(codes))
    assert [(cycle, *out.values()) for cycle, out in events] == expected(chain, beats, codes)


@pytest.mark.rtl
def test_chain_in_verilator(tmp_path):
    chain = Chain("verilog")
    assert sorted(chain.images) == ["ranks_0.hex", "ranks_1.hex", "ranks_2.hex", "weights.hex"]
    for name, text in chain.images.items():
        (tmp_path / name).write_text(text)
    beats, codes = stimuli()
    table = ",".join(
        "{0}" if b is None else f"{{1,{b['i_data']}u,{b['i_first']},{b['i_last']},{b['i_row']}}}"
        for b in [*beats, *[None] * 30]
    )
    body = f"""
      static const uint32_t beats[][5] = {{{table}}};
      top.rst = 0;
      long cycle = 0;
      for (auto& b : beats) {{
        top.i_valid = b[0]; top.i_data = b[0] ? b[1] : (uint32_t)rng();
        top.i_first = b[2]; top.i_last = b[3]; top.i_row = b[4];
        top.eval();
        if (top.o_valid)
          printf("%ld %llu %llu %llu\\n", cycle, (unsigned long long)top.codes,
                 (unsigned long long)top.scores, (unsigned long long)top.ranks);
        tick();
        cycle++;
      }}
    """
    lines = simulate(chain.text(), body, tmp_path)
    seen = [tuple(int(field) for field in line.split()) for line in lines]
    assert seen == expected(chain, beats, codes)


@pytest.mark.rtl
@pytest.mark.parametrize(("rows", "beats"), [(ROWS, BEATS), (1, BEATS), (1, 1)])
def test_chain_is_lint_clean(rows, beats, tmp_path):
    # Amaranth's Verilog relies on implicit widening, leaves aliases unused, and initialises
    # registers in their declaration.
    waived = ["-Wno-WIDTHEXPAND", "-Wno-UNUSEDSIGNAL", "-Wno-PROCASSINIT"]
    lint(Chain("verilog", rows, beats).text(), tmp_path, *waived)


def test_text_is_deterministic():
    assert Chain("verilog").text() == Chain("verilog").text()


def test_unpack_agrees_with_signed_scores():
    """The packed scores of this file are two's complement."""
    chain = Chain("amaranth")
    sums, rows = np.array([[0, 0, 0]]), np.array([0])
    scores = chain.tails["scores"].model(sums, rows)[0].tolist()
    assert min(scores) < 0
    assert unpack(pack(scores, 12), 12, PE, signed=True) == scores
