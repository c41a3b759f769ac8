"""Weights in SPRAM: of an accelerator alone, as gates, and on a board that loads its flash."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from xnorflow import demo
from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.plan.memories import load_bits, sprams
from xnorflow_boards.build.bitstream import build
from xnorflow_boards.build.load_bitstream import program
from xnorflow_boards.catalogue import board
from xnorflow_boards.flows import tools
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.gateware.clocking import Clocking
from xnorflow_boards.gateware.weights_in_flash import ERASED, WEIGHTS_ADDRESS, with_weights
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_boards.simulated import gates
from xnorflow_boards.simulated.design_board import simulated
from xnorflow_hw.link.flash_format import image
from xnorflow_sim.board.simulated_board import Trouble

from ..in_spram import digits


@pytest.fixture(scope="module")
def design():
    return digits()


@pytest.fixture(scope="module")
def x():
    return demo.data()["x_test"][:40]


def test_the_load_port_is_part_of_the_interface(design):
    assert sprams(design.spec) == len(design.emitted.sections) == 3
    assert design.interface.ports["load"] == load_bits(design.spec) == 33
    assert "input wire [32:0] load" in design.verilog or "input [32:0] load" in design.verilog


@pytest.mark.rtl
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.4)])
def test_alone_it_is_the_golden_model(design, x, stalls):
    run = design.simulate(x, stalls=stalls)
    np.testing.assert_array_equal(run.scores, design.net(x))
    if stalls == (0.0, 0.0):
        assert (run.ii, run.latency) == (design.ii, design.latency)


def on_a_board(design, x, *, timeout=20.0, **options):
    face = design.interface
    with simulated(design, **options) as made:
        transport = SerialTransport(made.port, 1_000_000)
        driver = Driver(transport, timeout=timeout)
        try:
            frames = face.pack(x).reshape(len(x), -1)
            known = driver.expect(design.digest, frames.shape[1], face.out_beats * face.out_bytes)
            answers = driver.run(frames, known)
        finally:
            transport.close()
    answers.check()
    raw = answers.results.reshape(len(x), face.out_beats, face.out_bytes)
    return face.unpack(raw), driver.statistics


@pytest.mark.rtl
def test_a_board_loads_its_weights_from_the_flash_again_after_a_reset(design, x):
    pytest.importorskip("serial")
    trouble = Trouble(resets=(1200,))
    scores, statistics = on_a_board(design, x, timeout=2.0, trouble=trouble)
    np.testing.assert_array_equal(scores, design.net(x))
    assert statistics.sessions >= 2


@pytest.mark.rtl
@pytest.mark.parametrize("flash", ["erased", "damaged"])
def test_a_board_without_its_weights_says_so(design, x, flash):
    pytest.importorskip("serial")
    data = bytearray(image(design.emitted.sections))
    data[len(data) // 2] ^= 1
    with pytest.raises(CheckFailed, match="cannot load its weights"):
        on_a_board(design, x, flash=b"" if flash == "erased" else bytes(data))


def synthesiser():
    try:
        tools.yosys()
    except ToolMissing as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.rtl
def test_gates_are_the_golden_model_once_they_are_loaded(design, x):
    pytest.importorskip("amaranth_boards")
    synthesiser()
    made = gates.netlist(design, board("icebreaker"))
    assert made.cells["SB_SPRAM256KA"] == sprams(design.spec)
    run = gates.simulate(design, made, x[:8])
    assert (run.ii, run.latency) == (design.ii, design.latency)
    gates.simulate(design, made, x[:8], stalls=(0.4, 0.4), seed=3)


def test_the_flash_image_has_the_weights_behind_the_bitstream(design):
    made = with_weights(b"bits", design)
    assert made[:4] == b"bits" and set(made[4:WEIGHTS_ADDRESS]) == set(ERASED)
    assert made[WEIGHTS_ADDRESS:] == image(design.emitted.sections)
    words = sum(map(len, design.emitted.sections))
    assert len(made) == WEIGHTS_ADDRESS + 8 + 2 * words + 4
    assert max(map(len, design.emitted.sections)) == 4608


def test_a_bitstream_does_not_reach_into_the_weights(design):
    longest = bytes(WEIGHTS_ADDRESS)
    assert with_weights(longest, design)[WEIGHTS_ADDRESS:] == image(design.emitted.sections)
    with pytest.raises(CheckFailed, match="has 131,073 bytes and reaches into the flash's place"):
        with_weights(longest + b"b", design)


def test_the_loader_has_what_the_image_has(design):
    loader = tops.linked(design, 24e6, 1_000_000).loader.spec
    data = image(design.emitted.sections)
    assert loader.crc == int.from_bytes(data[-4:], "little")
    assert loader.address == WEIGHTS_ADDRESS and loader.wait == 1201
    assert Counter(loader.sections) == Counter(map(len, design.emitted.sections))


def test_it_cannot_be_built_for_a_board_without_spram(design, tmp_path, monkeypatch):
    monkeypatch.setattr("xnorflow_boards.build.bitstream.Design.read", lambda folder: design)
    with pytest.raises(BadInput, match="has weights in 3 SPRAM blocks, which ulx3s-25f lacks"):
        build(tmp_path, board="ulx3s-25f")


def test_weights_are_programmed_into_the_flash_only(tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "digits.bin").write_bytes(b"")
    (tmp_path / "build" / "build.json").write_text(
        json.dumps(
            {
                "format": "xnorflow-build-1",
                "bitstream": "digits.bin",
                "core_only": False,
                "board": "icebreaker",
                "weights_address": WEIGHTS_ADDRESS,
            }
        )
    )
    with pytest.raises(BadInput, match=r"weights of digits.bin from the flash.*--flash"):
        program(tmp_path)


def test_the_flash_is_on_the_boards_pins_and_selected_low(design):
    """The pins of the configuration flash are those of the iCEBreaker's schematic."""
    pytest.importorskip("amaranth_boards")
    made = board("icebreaker")
    platform = made.platform()
    top = tops.BoardTop(Clocking(made.flow, platform, 12), tops.linked(design, 12e6, 1_000_000))
    platform.add_file("accelerator.v", design.verilog)
    files = platform.prepare(top, name="board").files
    for pin, number in (("cs", 16), ("clk", 15), ("copi", 14), ("cipo", 17)):
        assert f"set_io spi_flash_1x_0__{pin}__io {number}\n" in files["board.pcf"]
    for pin, inverted in (("cs", True), ("clk", False), ("copi", False)):
        found = re.search(rf"module \\board\.flash_{pin}\b.*?\nend\n", files["board.il"], re.S)
        assert found and ("$not" in found[0]) == inverted
