"""Simulate the whole iCEBreaker as gates, from the wires of UART and flash to the scores.

The demo network's weights are in SPRAM. The netlist of the board's build, with clock, UART, link,
loader and accelerator, runs with Yosys's cell models in Verilator, beside a flash that sleeps until
it is woken, and the driver of `xnorflow run` talks to it. Only the pads are simpler than Yosys's
models: each has the one direction in which it is used. Exits with 1 if a score differs from the
golden model's.

Run: python benchmarks/gates_board.py [--frames N]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import xnorflow as xf
from xnorflow import demo
from xnorflow.design.design import Design
from xnorflow.plan.memories import IN_SPRAM, sprams
from xnorflow_boards.build.open_build import OpenBuild
from xnorflow_boards.catalogue import board
from xnorflow_boards.flows import tools
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.gateware.weights_in_flash import loader_for
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_boards.simulated import gates, simulated_flash
from xnorflow_hw.link.flash_format import image
from xnorflow_hw.spec import DotSpec
from xnorflow_sim import golden
from xnorflow_sim.board.simulated_board import SimulatedBoard
from xnorflow_sim.interface import BytePorts

MHZ, BAUD = 12, 1_000_000
"""Clock in MHz: that of the pin, because there is no model of the PLL."""
_PADS = re.compile(r"\bSB_IO #\((.*?)\)\s+(\\\S+)\s+\(", re.DOTALL)
_UNUSED = "input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_1"
_PARAMETERS = 'parameter [5:0] PIN_TYPE = 0; parameter PULLUP = 0; parameter IO_STANDARD = "";'
AROUND = f"""
module PAD_IN (input PACKAGE_PIN, output D_IN_0, {_UNUSED});
  {_PARAMETERS} assign D_IN_0 = PACKAGE_PIN;
endmodule
module PAD_OUT (output PACKAGE_PIN, input D_OUT_0, {_UNUSED});
  {_PARAMETERS} assign PACKAGE_PIN = D_OUT_0;
endmodule
module SB_GB_IO (input PACKAGE_PIN, output GLOBAL_BUFFER_OUTPUT, {_UNUSED});
  {_PARAMETERS} assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
endmodule
module pads (
  input wire clk, input wire rst, input wire rx, output wire tx, input wire cts, output wire rts,
  output wire flash_cs, output wire flash_sck, output wire flash_copi, input wire flash_cipo
);
  wire cs_n, wp_n, hold_n;
  assign rts = 1;
  assign flash_cs = ~cs_n & wp_n & hold_n;
  {TOP} board (
    .clk12_0__io(clk), .uart_0__rx__io(rx), .uart_0__tx__io(tx),
    .spi_flash_1x_0__cs__io(cs_n), .spi_flash_1x_0__clk__io(flash_sck),
    .spi_flash_1x_0__copi__io(flash_copi), .spi_flash_1x_0__cipo__io(flash_cipo),
    .spi_flash_1x_0__wp__io(wp_n), .spi_flash_1x_0__hold__io(hold_n)
  );
endmodule
"""


def in_spram(design: Design) -> Design:
    """Return a design with all weights of block RAM in SPRAM; its latency stays the same."""
    stages = [
        replace(s, array=replace(s.array, rom=IN_SPRAM))
        if isinstance(s.array, DotSpec) and s.array.rom.storage == "block"
        else s
        for s in design.spec.stages
    ]
    return replace(design, spec=replace(design.spec, stages=tuple(stages)))


def _plain(pad: re.Match[str]) -> str:
    way = "IN" if "6'h01" in pad[1] else "OUT"
    return f"PAD_{way} #({pad[1]}) {pad[2]} ("


def netlist(design: Design) -> str:
    """Synthesise the board as its build does, and return the gates and models, with plain pads."""
    with tempfile.TemporaryDirectory() as folder:
        run = OpenBuild(design, board("icebreaker"), Path(folder), lambda step, doing: None)
        run.prepare(
            MHZ, lambda hz: tops.linked(design, hz, BAUD), after="write_verilog -noattr netlist.v\n"
        )
        run.succeed("synthesis", tools.yosys(), [f"{TOP}.ys"], "synthesis.log")
        text = (Path(folder) / "netlist.v").read_text()
    text = _PADS.sub(_plain, text)
    for name in re.findall(r"^  inout (\w+);", text, re.MULTILINE):
        way = "input" if re.search(r"clk12|rx|cipo", name) else "output"
        text = text.replace(f"inout {name};", f"{way} {name};")
    shipped, used = gates._shipped("ice40"), set(re.findall(r"^  (SB_\w+) ", text, re.MULTILINE))
    models = [m[0] for m in gates._MODULE.finditer(shipped) if m[1] in used - {"SB_GB_IO"}]
    defines = [line for line in shipped.splitlines() if line.startswith("`define")]
    return "\n".join(["`timescale 1ps/1ps", *defines, text, *models])


def main() -> None:
    """Print what was compared; exit with 1 if a score differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=4)
    x = demo.data()["x_test"][: parser.parse_args().frames]
    made = xf.compile(xf.load(demo.model_path()), board="icebreaker", cycles=20_000)
    design = in_spram(made)
    text, data, face = netlist(design), image(design.emitted.sections), design.interface
    ports, loader = BytePorts("whole", MHZ * 1_000_000 // BAUD), loader_for(design, MHZ * 1e6)
    assert loader is not None
    around = simulated_flash.around("pads", ports.ports, {"tx", "rts"}, "whole", len(data))
    simulated = SimulatedBoard(
        text + AROUND + around,
        ports,
        images={simulated_flash.IMAGE: simulated_flash.contents(data)},
        settle=2 * (loader.cycles + design.latency + design.ii),
    )
    with simulated as running:
        transport = SerialTransport(running.port, BAUD)
        driver = Driver(transport, timeout=120)
        known = driver.expect(design.digest, face.frame, face.out_beats * face.out_bytes)
        answers = driver.run(face.pack(golden.frames(design.net, x)).reshape(len(x), -1), known)
        transport.close()
    answers.check()
    raw = answers.results.reshape(len(x), face.out_beats, face.out_bytes)
    wrong = int((face.unpack(raw) != design.net(x)).any(axis=1).sum())
    print(
        f"{len(x)} frames through {text.count('SB_LUT4 ')} LUTs and {sprams(design.spec)} SPRAMs"
        f" in {simulated.report['cycles']:,} cycles: {wrong} differ from the golden model"
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
