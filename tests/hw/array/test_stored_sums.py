"""Sums whose weights are stored in the LUTs that compare: primitives equal counting."""

import numpy as np
import pytest

from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.memory.rom import bit_words
from xnorflow_hw.spec.latency import stored_latency

from .. import prove


def weights_of(words, pe, simd):
    return np.random.default_rng(words * simd).integers(0, 2, (words, pe, simd), dtype=np.uint8)


def reference(weights, masks=None):
    """Write the count in plain Verilog; past the last word it reads zeros, as the LUTs do."""
    words, pe, simd = weights.shape
    bits, width, cycles = (words - 1).bit_length(), simd.bit_length(), stored_latency(simd)

    def read(contents):
        table = [f"{pe * simd}'h{w:x}" for w in bit_words(contents.reshape(words, -1))]
        return "".join(f"address == {k} ? {w} : " for k, w in enumerate(table)) + f"{pe * simd}'d0"

    word = read(weights)
    mask = f"{{{pe * simd}{{1'b1}}}}" if masks is None else read(masks)
    counts = [
        " + ".join(
            f"{{{width}'d0, (x[{i}] ~^ word[{k * simd + i}]) & mask[{k * simd + i}]}}"
            for i in range(simd)
        )
        for k in range(pe)
    ]
    lines = [
        f"module reference(input clk, input [{bits - 1}:0] address, input [{simd - 1}:0] x,",
        f"  output [{pe * width - 1}:0] n);",
        f"  wire [{pe * simd - 1}:0] word = {word};",
        f"  wire [{pe * simd - 1}:0] mask = {mask};",
        f"  wire [{pe * width - 1}:0] n0;",
    ]
    lines += [f"  assign n0[{k * width} +: {width}] = {c};" for k, c in enumerate(counts)]
    for k in range(cycles):
        lines.append(f"  reg [{pe * width - 1}:0] n{k + 1};")
        lines.append(f"  always @(posedge clk) n{k + 1} <= n{k};")
    return "\n".join([*lines, f"  assign n = n{cycles};", "endmodule", ""])


@pytest.mark.parametrize(
    ("words", "pe", "simd"),
    [
        (2, 1, 6),
        (4, 3, 13),
        (8, 2, 9),
        (16, 3, 12),
        (16, 1, 1),
        (16, 2, 16),
        (5, 3, 7),
        (10, 1, 16),
    ],
)
def test_the_primitives_count(words, pe, simd, tmp_path):
    weights = weights_of(words, pe, simd)
    gate = "`define XNORFLOW_PRIMITIVES\n" + stored.verilog_module("sums", weights)
    cycles = stored_latency(simd)
    assert prove.equal(reference(weights), gate, "sums", "xilinx7", tmp_path, cycles)


@pytest.mark.parametrize(("words", "pe", "simd"), [(4, 3, 7), (16, 2, 9), (5, 1, 6)])
def test_masked_primitives_count(words, pe, simd, tmp_path):
    """The proof holds with the right mask, and not with another one."""
    weights, masks = np.split(weights_of(words, 2 * pe, simd), 2, axis=1)
    gate = "`define XNORFLOW_PRIMITIVES\n" + stored.verilog_module("sums", weights, masks)
    cycles = stored_latency(simd)
    assert prove.equal(reference(weights, masks), gate, "sums", "xilinx7", tmp_path, cycles)
    masks[1, 0, 2] ^= 1
    assert not prove.equal(reference(weights, masks), gate, "sums", "xilinx7", tmp_path, cycles)


def test_a_mask_takes_no_lut():
    weights, masks = np.split(weights_of(16, 8, 64), 2, axis=1)
    plain, masked = (stored.structure(weights, m)[0].luts for m in (None, masks))
    assert masked == plain
    # Beside a memory masked popcounts are larger, so storing pays earlier.
    assert stored.pays(pe=4, simd=64, words=5, masked=True)
    assert not stored.pays(pe=4, simd=64, words=5)


def test_the_proof_finds_a_wrong_weight(tmp_path):
    weights = weights_of(16, 2, 6)
    gate = "`define XNORFLOW_PRIMITIVES\n" + stored.verilog_module("sums", weights)
    weights[11, 1, 2] ^= 1
    cycles = stored_latency(6)
    assert not prove.equal(reference(weights), gate, "sums", "xilinx7", tmp_path, cycles)


def test_a_lane_takes_about_a_lut():
    for pe, simd in ((16, 64), (16, 256), (24, 784)):
        netlist, _ = stored.structure(weights_of(16, pe, simd))
        assert netlist.luts < 1.05 * pe * simd
    # With an odd number of PEs the last one does not share its LUTs.
    netlist, _ = stored.structure(weights_of(16, 3, 256))
    assert 1.15 * 3 * 256 < netlist.luts < 1.25 * 3 * 256


@pytest.mark.parametrize("words", [1, 17])
def test_words_have_to_fit_a_lut(words):
    with pytest.raises(ValueError, match=f"2 to 16 words, not {words}"):
        stored.StoredSums(weights=weights_of(words, 2, 8), name="sums")


def test_few_words_are_shared_rather_than_stored():
    assert stored.pays(pe=16, simd=256, words=16)
    # With 8 words a bit has one of 256 contents, so of 4096 bits many are equal.
    assert not stored.pays(pe=16, simd=256, words=8)
    assert not stored.pays(pe=16, simd=256, words=17)
    assert not stored.pays(pe=16, simd=256, words=1)
    assert not stored.pays(pe=1, simd=784, words=8)
