"""Arrays as Verilog equal their models, with each fabric's primitives and in simulators."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.fabric import copies
from xnorflow_hw.fabric.beat import cheapest_form
from xnorflow_hw.fabric.popcount import forms
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec import IN_BLOCKS

from ..convert import to_verilog
from ..harness import unpack, with_bubbles
from ..prove import CELLS, PLACED, simulated
from ..verilog import simulate
from .test_dot import beats_of

BEATS, ROWS, TURNS = 3, 3, (1, 2)


@pytest.fixture(autouse=True)
def copies_for_few_lanes(monkeypatch):
    """Make these small arrays copy their activations, too."""
    monkeypatch.setitem(copies.LANES, "ecp5", 16)


def arrays(fabric):
    """Return arrays of all kinds: sums and codes, one pixel and several, every form."""
    rng = np.random.default_rng(4)
    kinds = [
        # form, simd, bits, coefficients, pixels, turn, whether thresholds
        ("tree", 5, 1, (1,), 1, 0, True),
        (forms(fabric)[-1], 16, 1, (1,), 1, 0, True),
        (forms(fabric)[-1], 8, 1, (1,), 2, 1, True),
        (forms(fabric)[-1], 9, 2, (1, 1), 3, 2, False),
        ("add", 3, 8, (1,), 1, 0, True),
        ("add", 5, 2, (1, 1), 2, 1, False),
    ]
    masked = [
        (forms(fabric, masked=True)[-1], 16, 1, (1,), 2, 1, True),
        (forms(fabric, masked=True)[-1], 9, 2, (1,), 1, 0, False),
        ("add", 3, 8, (1,), 1, 0, True),
    ]
    if fabric in stored.FABRICS:
        kinds += [("stored", 13, 1, (1,), 1, 0, True), ("stored", 16, 1, (1,), 1, 0, False)]
        masked += [("stored", 13, 1, (1,), 1, 0, True)]
    made = []
    every = [(*kind, False) for kind in kinds] + [(*kind, True) for kind in masked]
    for form, simd, bits, coefficients, pixels, turn, compare, mask in every:
        most = BEATS * simd * sum(coefficients) * ((1 << bits) - 1)
        pe, planes = 3 if form == stored.FORM else 2, len(coefficients) + mask
        made.append(
            DotArray(
                pe=pe,
                simd=simd,
                bits=bits,
                coefficients=coefficients,
                rows=ROWS,
                pixels=pixels,
                weights=rng.integers(0, 2, (ROWS * BEATS, planes, pe, simd), np.uint8),
                masked=mask,
                acc_bits=most.bit_length(),
                turn=turn,
                lanes=rng.permutation(pixels),
                thresholds=rng.integers(most // 2 - 2, most // 2 + 3, (ROWS, pe))
                if compare
                else None,
                rom=stored.ROM if form == stored.FORM else IN_BLOCKS,
                form=form,
                fabric=fabric,
                style="verilog",
                name=f"weights_{len(made)}",
            )
        )
    return made


class Several(wiring.Component):
    """Arrays side by side, with the same beats; each has its own data and pulses."""

    def __init__(self, parts):
        self.parts = parts
        self.modules = {name: text for part in parts for name, text in part.modules.items()}
        ports = {name: In(1) for name in ("i_valid", "i_first", "i_last", "i_turn")}
        ports["i_row"] = In(2)
        for k, part in enumerate(parts):
            ports[f"i_data_{k}"] = In(len(part.i_data))
            ports[f"o_values_{k}"] = Out(len(part.o_values))
            ports[f"o_valid_{k}"] = Out(1)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        for k, part in enumerate(self.parts):
            m.submodules[f"part_{k}"] = part
            for name in ("i_valid", "i_first", "i_last", "i_row", "i_turn"):
                if hasattr(part, name):
                    m.d.comb += getattr(part, name).eq(getattr(self, name))
            m.d.comb += [
                part.i_data.eq(getattr(self, f"i_data_{k}")),
                getattr(self, f"o_values_{k}").eq(part.o_values),
                getattr(self, f"o_valid_{k}").eq(part.o_valid),
            ]
        return m


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("fabric", "body"),
    [
        *((fabric, "primitives") for fabric in CELLS),
        (PLACED[0], "simulator"),
        ("gowin", "simulator"),
        ("xilinx7", "simulator"),
    ],
)
def test_arrays_in_verilator(fabric, body, tmp_path):
    rng = np.random.default_rng(9)
    dut = Several(arrays(fabric))
    assert all(max(len(part.i_data), len(part.o_values)) <= 64 for part in dut.parts)
    codes = [
        rng.integers(0, 1 << part.bits, (14, BEATS, part.pixels, part.simd)) for part in dut.parts
    ]
    # All arrays get the same bubbles.
    streams = [
        with_bubbles(beats_of(own, part.bits, ROWS, TURNS, True), 7, 0.3)
        for own, part in zip(codes, dut.parts, strict=True)
    ]
    lines = []
    for cycle, beats in enumerate(zip(*streams, strict=True)):
        first = beats[0]
        lines.append(f"top.i_valid = {int(first is not None)};")
        if first is not None:
            lines += [
                f"top.{name} = {first[name]};" for name in ("i_first", "i_last", "i_row", "i_turn")
            ]
            lines += [f"top.i_data_{k} = {beat['i_data']}u;" for k, beat in enumerate(beats)]
        lines.append(f"cycle({cycle});")
    lines.append("top.i_valid = 0; top.i_last = 1;")
    lines += [f"cycle({len(streams[0]) + more});" for more in range(20)]
    shown = "".join(
        f'if (top.o_valid_{k}) printf("%d {k} %llu\\n", now, (unsigned long long)top.o_values_{k});'
        for k in range(len(dut.parts))
    )
    drive = f"top.rst = 0; auto cycle = [&](int now) {{ top.eval(); {shown} tick(); }};"
    text = "\n".join([to_verilog(dut), PROLOGUE, *dut.modules.values()])
    options = ["-DXNORFLOW_STRUCTURAL", "-DXNORFLOW_PRIMITIVES", *simulated(fabric)]
    seen = simulate(
        text, drive + "\n".join(lines), tmp_path, *(options if body == "primitives" else [])
    )
    pulses = [tuple(int(field) for field in line.split()) for line in seen]
    for k, part in enumerate(dut.parts):
        own = codes[k] if part.pixels > 1 else codes[k][:, :, 0]
        rows = np.arange(len(own)) % ROWS
        expected = part.model(own, rows=rows, turns=TURNS).reshape(len(own), -1)
        ends = [c for c, beat in enumerate(streams[k]) if beat is not None and beat["i_last"]]
        mine = [(cycle, value) for cycle, which, value in pulses if which == k]
        assert [cycle for cycle, _ in mine] == [end + part.latency for end in ends]
        number = part.pixels * part.pe
        assert [unpack(v, part.out_bits, number) for _, v in mine] == expected.tolist()


def test_a_single_word_is_not_recoded():
    weights = np.ones((1, 1, 2, 8), np.uint8)
    with pytest.raises(ValueError, match="a single word is a constant"):
        DotArray(
            pe=2,
            simd=8,
            bits=1,
            coefficients=(1,),
            weights=weights,
            acc_bits=4,
            form="recoded",
            fabric="ice40",
            style="verilog",
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 2}, "needs one pixel, one block, codes of one bit"),
        ({"pixels": 2, "lanes": (0, 1)}, "needs one pixel, one block, codes of one bit"),
        ({"fabric": "ecp5"}, "not 'ecp5' with 'logic'"),
        ({"rom": IN_BLOCKS}, "not 'xilinx7' with 'block'"),
    ],
)
def test_weights_are_stored_in_sums_of_bits_on_one_fabric(changed, message):
    given = {"bits": 1, "fabric": "xilinx7", "rom": stored.ROM} | changed
    with pytest.raises(ValueError, match=message):
        DotArray(
            pe=2,
            simd=8,
            coefficients=(1,),
            weights=np.ones((4, 1, 2, 8), np.uint8),
            acc_bits=5,
            form="stored",
            **given,
        )


def test_the_cheapest_form_is_one_that_the_fabric_has():
    for fabric in ("generic", "ice40", "gowin", *PLACED):
        for simd in (1, 3, 5, 6, 8, 16, 64):
            few = {"simd": simd, "fabric": fabric, "sums": 2, "words": 4}
            assert cheapest_form(**few, bits=1) in forms(fabric)
            assert cheapest_form(**few, bits=8) in (*forms(fabric), "add")
    size = {"sums": 1, "words": 2}
    assert cheapest_form(simd=3, bits=8, fabric="generic", **size) == "add"
    assert cheapest_form(simd=64, bits=2, fabric="ecp5", **size) == "dense"


@pytest.mark.parametrize("fabric", ["ice40", "gowin"])
def test_many_sums_recode_what_they_share(fabric):
    size = {"bits": 1, "fabric": fabric}
    assert cheapest_form(**size, simd=16, sums=4, words=2) == "recoded"
    assert cheapest_form(**size, simd=16, sums=3, words=2) == "dense"
    assert cheapest_form(**size, simd=16, sums=4, words=1) == "dense"
    assert cheapest_form(**size, simd=5, sums=4, words=2) == "tree"
