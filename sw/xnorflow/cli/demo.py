"""``xnorflow demo``: go the whole way with the network of digits that comes with xnorflow."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow.cli import console
from xnorflow.cli.compile import design_table, front_of
from xnorflow.cli.folders import whole_folder
from xnorflow.cli.options import json_option
from xnorflow.design.described import speed
from xnorflow.devices.figure import Origin
from xnorflow.errors import CheckFailed
from xnorflow.report.terminal import bare_table

if TYPE_CHECKING:
    from rich.table import Table

    from xnorflow.comparison.row import Row
    from xnorflow.ir import IntegerNetwork

BOARD = "ulx3s-25f"
CYCLES = 1152
FPGAS = ("icebreaker", "tangnano20k", "ulx3s-25f", "arty-a7-35", "pynq-z1")
GPUS = ("orin-nano", "t4", "a100", "h100")
EXECUTED = 32
SHOWN = 32
MADE = {
    "design": "Verilog, ROM images, design.json: a complete accelerator",
    "digits.png": "digits with the labels that the simulated hardware gave",
    "report.html": "verdict, images, pipeline, FPGAs and GPUs, sources: one page",
    "compare.png": "FPGAs and GPUs as a plot",
    "summary.json": "the figures above",
}
MADE_BEFORE = ("compare.html",)
"""What earlier versions wrote; a folder with it is replaced."""


@click.command("demo", short_help="Go the whole way with a small network and real images.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("xnorflow-demo"),
    metavar="DIR",
    show_default=True,
    help="Folder for everything that is written.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Processes for the RTL simulation.",
)
@json_option
def command(output: Path, jobs: int, as_json: bool) -> None:
    """Go the whole way with a small network and real images, in under two minutes.

    Imports the network that comes with xnorflow, checks it against an ONNX executor, writes the
    Verilog, simulates it on all held-out images, checks it against the golden model, and compares
    devices.

    \b
    Examples:
      xnorflow demo
      xnorflow demo -o /tmp/demo --jobs 4
    """
    with whole_folder(output, (*MADE, *MADE_BEFORE)) as folder:
        if as_json:
            console.be_quiet(True)
        summary = go(folder, output, jobs)
    if as_json:
        console.print_json(summary)


def go(folder: Path, output: Path, jobs: int) -> dict[str, Any]:
    """Run the demo, and return its figures.

    Parameters
    ----------
    folder : Path
        Temporary folder for everything that is written.
    output : Path
        Final name of that folder, for messages.
    jobs : int
        Processes for the RTL simulation.

    Raises
    ------
    CheckFailed
        If a score or the timing differs from what it should be.
    """
    from xnorflow import demo
    from xnorflow.api import compare, load
    from xnorflow.compiler import compile_network
    from xnorflow.report import pictures, plot
    from xnorflow.report.page import render, reports

    started = time.monotonic()
    say = console.say
    images = demo.data()
    x, y = images["x_test"], images["y_test"]
    say(" a QONNX file and lower it to integers", "1. Import")
    net = load(demo.model_path())
    size = " x ".join(map(str, net.shape))
    say(f"   {net.name}: {len(net.layers)} integer layers, input {size}")

    say(f" the golden model against an ONNX executor on {EXECUTED} images", "2. Check")
    _check_executor(demo.model_path(), net, x[:EXECUTED])
    scores = net(x)
    accuracy = float((scores.argmax(1) == y).mean())
    say(f"   every score equal; accuracy on all {len(x)} held-out images {100 * accuracy:.2f} %")

    say(f" for {BOARD}: at most {CYCLES:,} cycles per frame", "3. Compile")
    design = compile_network(net, BOARD, cycles=CYCLES)
    design.write(folder / "design")
    console.show_table(design_table(design))
    say("   " + speed(design))

    say(" the Verilog cycle by cycle (Verilator), all held-out images", "4. Simulate")
    with console.working("compiling the simulation"):
        design.simulator(frames=len(x))
    with console.progress("   RTL at full speed") as tick:
        run = design.simulate(x, jobs=jobs, expected=scores, progress=tick)
    with console.progress("   RTL, both sides stalled") as tick:
        design.simulate(x, jobs=jobs, stalls=(0.3, 0.3), seed=1, expected=scores, progress=tick)
    say(
        f"   {scores.size:,} scores equal the golden model's, at full speed and under random stalls"
    )
    say(
        f"   simulated initiation interval {run.ii:,} cycles (predicted {design.ii:,}), latency"
        f" {run.latency:,} cycles (predicted {design.latency:,})"
    )
    if (run.ii, run.latency) != (design.ii, design.latency):
        raise CheckFailed(
            f"the simulated timing, {run.ii} and {run.latency} cycles, differs from the predicted"
            f" {design.ii} and {design.latency} cycles"
        )

    say(" devices (every figure says what it is; see the report)", "5. Compare")
    comparison = compare(
        net, FPGAS, GPUS, cycles=CYCLES, designs={BOARD: design}, runs={BOARD: run}
    )
    found = reports.of_demo(
        design, comparison, x, run.labels, y, console.command_line(), front_of(design)
    )
    render.save(found, folder / "report.html")
    plot.save(comparison, folder / "compare.png")
    pictures.save(
        folder / "digits.png",
        x[:SHOWN],
        run.labels[:SHOWN],
        y[:SHOWN],
        title="What the simulated hardware reads",
    )
    seconds = time.monotonic() - started
    summary = {
        "network": net.name,
        "digest": net.digest,
        "images": len(x),
        "accuracy": accuracy,
        "mismatches": 0,
        "ii": run.ii,
        "latency": run.latency,
        "predicted_ii": design.ii,
        "predicted_latency": design.latency,
        "board": BOARD,
        "clock_mhz": design.clock.mhz,
        "clock_source": design.clock.source,
        "fps": design.fps,
        "host": design.summary()["host"],
        "seconds": round(seconds, 1),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    _summary(output, x, run.labels, y, comparison, seconds)
    return summary


def _check_executor(path: Path, net: IntegerNetwork, x: NDArray[np.uint8]) -> None:
    """Run the file in qonnx's executor, and check that all scores are equal.

    Raises
    ------
    CheckFailed
        If a score differs.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    model = ModelWrapper(str(path))
    name, result = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(name)
    expected = np.concatenate(
        [
            execute_onnx(model, {name: frame.astype(np.float32).reshape(shape)})[result]
            for frame in x
        ]
    )
    if not np.array_equal(net.scores.to_float(net(x)), expected):
        raise CheckFailed(
            f"{path.name}: the scores of the golden model and of the ONNX executor differ"
        )


def _summary(
    output: Path,
    x: NDArray[np.uint8],
    labels: NDArray[Any],
    y: NDArray[Any],
    comparison: Any,
    seconds: float,
) -> None:
    """Print some digits with their labels, the figures of the FPGAs, and the files written."""
    say = console.say
    shades = " .:-=+*#%@"
    picked = [int(np.flatnonzero(y == digit)[0]) for digit in range(8)]
    for line in (picked[:4], picked[4:]):
        for row in range(x.shape[1]):
            say(
                "   "
                + "  ".join(
                    "".join(2 * shades[int(v) * (len(shades) - 1) // 16] for v in x[i, row])
                    for i in line
                )
            )
        say("   " + "  ".join(f"{f'reads {labels[i]}':^16s}" for i in line))
    say()
    console.show_table(_fpgas([row for row in comparison.rows if row.category == "FPGA"]))
    say(f" In {output}:", f"Done in {seconds:.0f} s.", style="green")
    for name, what in MADE.items():
        say(f"   {name:14s} {what}", hang=15)
    say()
    say(" xnorflow inspect your_model.onnx", "Next:")


def _fpgas(rows: list[Row]) -> Table:
    """Return a table of how fast FPGAs are and what their links carry."""
    numbers = ("MHz", "frames/s", "its link carries")
    table = bare_table("", ("board", *numbers, "link", ""), numbers)
    for row in rows:
        fps, clock, link = (row.figures.get(key) for key in ("fps", "clock", "link"))
        if fps is None or clock is None:
            continue
        doubts = [] if row.fits else ["does not fit"]
        doubts += [str(fps.kind)] if fps.kind is not Origin.ESTIMATED else []
        table.add_row(
            row.device,
            f"{clock.value:g}",
            f"{fps.value:,.0f}",
            "" if link is None else f"{link.value:,.0f}",
            row.link,
            ", ".join(doubts),
        )
    table.caption = console.plain("frames/s estimated, at the clock assumed for each family")
    table.caption_justify = "left"
    return table
