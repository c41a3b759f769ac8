"""``xnorflow simulate``: run images through the golden model or the generated hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from xnorflow import ir
from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.options import (
    ReadingOptions,
    edges_option,
    input_options,
    jobs_option,
    json_option,
    limit_option,
    load_model,
    target_options,
)
from xnorflow.data import read_images
from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow.evidence.sample_range import saturated
from xnorflow.evidence.score_orders import tied


@click.command("simulate")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL|DIR")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="IMAGES",
    help="An .npz with x and optional y, a .npy, or a folder of PNG.",
)
@click.option(
    "--engine",
    type=click.Choice(["golden", "rtl", "cocotb"], case_sensitive=False),
    default="rtl",
    show_default=True,
    help="golden: the NumPy model; rtl: the Verilog in Verilator; cocotb: a cocotb testbench in"
    " Verilator.",
)
@limit_option
@jobs_option
@click.option(
    "--stalls",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="P",
    help="Probability, in each cycle, that the source and the sink are not ready (rtl).",
)
@click.option("--seed", type=int, default=0, help="Seed of the random stalls.")
@edges_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT.npz",
    help="File for scores, labels, each output by name if there are several or a map, and, with"
    " rtl, ii and latency.",
)
@click.option(
    "--waves",
    type=click.Path(path_type=Path),
    metavar="FILE.vcd",
    help="File for the waveforms of all simulated frames (rtl, cocotb); use with --limit.",
)
@target_options
@input_options
@json_option
def command(
    model: Path,
    data: Path,
    engine: str,
    limit: int | None,
    jobs: int,
    stalls: float,
    seed: int,
    edges: int | None,
    output: Path | None,
    waves: Path | None,
    board: str | None,
    fps: float | None,
    cycles: int | None,
    folding: Path | None,
    clock: float | None,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Run images through a model or a compiled design.

    The rtl engine compares every score with the golden model. If any differs, the message names
    layer, row, column and channel of the first difference, and the exit code is 1.

    \b
    Examples:
      xnorflow simulate cnv.onnx --data cifar10.npz --engine golden
      xnorflow simulate build/cnv --data cifar10.npz --limit 20 \\
          --jobs 2 -o scores.npz
      xnorflow simulate build/cnv --data cifar10.npz --limit 1 --waves cnv.vcd
      xnorflow simulate trn.onnx --with-edges --edges 1 --data digits.npz
    """
    check_output(output, "results are", ".npz")
    check_output(waves, "waveforms are", ".vcd")
    if model.is_dir():
        reading.check_compiled(model)
    targets = {
        "--board": board,
        "--fps": fps,
        "--cycles": cycles,
        "--folding": folding,
        "--clock": clock,
    }
    _refuse_useless(
        model,
        engine,
        "--waves" if waves else "",
        "--stalls" if stalls else "",
        [name for name, value in targets.items() if value is not None],
        edges,
    )
    images = read_images(data).first(limit)
    design = None
    if model.is_dir():
        with console.working(f"reading {model}"):
            design = Design.read(model)
        net = design.net
    else:
        net = load_model(model, reading)
        if engine != "golden":
            from xnorflow.compiler import compile_network

            design = compile_network(
                net, board, fps=fps, cycles=cycles, folding=folding, clock=clock
            )
    from xnorflow_sim import golden

    x = golden.frames(net, images.x)
    images.check_labels(net.label_count)
    with console.progress("golden model") as tick:
        scores = golden.run_frames(net, x, tick, edges)
    result: dict[str, Any] = {"engine": engine, "frames": len(x)}
    if net.edge_count > 1:
        result["edges"] = edges or net.edge_count
    arrays: dict[str, Any] = {}
    if engine == "rtl":
        assert design is not None
        with console.progress("RTL in Verilator") as tick:
            run = design.simulate(
                images.x,
                jobs=jobs,
                stalls=(stalls, stalls),
                seed=seed,
                waves=waves,
                progress=tick,
                expected=scores,
                edges=edges,
            )
        result |= {
            "mismatches": 0,
            "ii": run.ii,
            "predicted_ii": design.ii,
            "latency": run.latency,
            "predicted_latency": design.latency,
        }
        arrays = {"latency": run.latency} | ({"ii": run.ii} if run.ii is not None else {})
    elif engine == "cocotb":
        assert design is not None
        result |= _cocotb(design, x, scores, seed, waves)
    # The hardware's scores equal the golden model's: anything else is an error.
    result["ties"] = tied(net, scores)
    result["notes"] = net.notes
    result["saturated"] = saturated(net, images.x) or None
    if net.outputs:
        result["outputs"] = {o.name: o.shape for o in net.outputs}
    if images.y is not None:
        result["accuracy"] = net.accuracy(scores, images.y)
    if output is not None:
        arrays |= ir.result_arrays(net.in_file_shape(scores), net.labels_of(scores))
        with whole_file(output) as part:
            np.savez_compressed(part, allow_pickle=False, **arrays)
    if as_json:
        console.print_json(result)
        return
    _report(result, stalls)


def _refuse_useless(
    model: Path, engine: str, waves: str, stalls: str, targets: list[str], edges: int | None
) -> None:
    """Refuse options that would have no effect.

    Raises
    ------
    BadInput
        If there is such an option.
    """
    if waves and engine == "golden":
        raise BadInput(f"{waves}: the golden model has no waveforms; choose --engine rtl or cocotb")
    if edges and engine == "cocotb":
        raise BadInput("--edges is for --engine golden or rtl; the cocotb testbench enables all")
    if stalls and engine != "rtl":
        raise BadInput(f"{stalls} is for --engine rtl, not for {engine}")
    if targets and engine == "golden":
        raise BadInput(
            f"{targets[0]}: the golden model is no hardware, so this has no effect; choose"
            " --engine rtl or cocotb"
        )
    if targets and model.is_dir():
        raise BadInput(
            f"{targets[0]}: {model} is compiled already; leave the option out, or give the model"
        )


def _cocotb(
    design: Design,
    x: np.ndarray[Any, Any],
    scores: np.ndarray[Any, Any],
    seed: int,
    waves: Path | None,
) -> dict[str, Any]:
    from xnorflow_sim.bench.cocotb_bench import run_cocotb

    with console.working("cocotb testbench in Verilator"):
        results = run_cocotb(
            design.verilog,
            design.interface,
            x,
            scores,
            images=design.emitted.images,
            seed=seed,
            waves=waves,
        )
    return {"mismatches": 0, "tests": [r.name for r in results]}


def _report(result: dict[str, Any], stalls: float) -> None:
    say = console.say
    say(f"{result['engine']}: {result['frames']:,} frames")
    if "edges" in result:
        say(f"enabled edges of each layer: {result['edges']}")
    if "tests" in result:
        say("passed: " + ", ".join(result["tests"]))
    if "mismatches" in result:
        say("every score equals the golden model's", style="green")
    if "ii" in result:
        ii = (
            "unknown, because that takes two frames,"
            if result["ii"] is None
            else f"{result['ii']:,g} cycles"
            if stalls
            else f"{result['ii']:,} cycles"
        )
        say(
            f"simulated initiation interval {ii} (predicted {result['predicted_ii']:,}), latency"
            f" {result['latency']:,} cycles (predicted {result['predicted_latency']:,})"
            + (" under stalls" if stalls else "")
        )
    for name, shape in result.get("outputs", {}).items():
        size = " x ".join(map(str, shape))
        say(f"output {name}: {size} scores")
    if result.get("accuracy") is not None:
        say(f"accuracy {100 * result['accuracy']:.2f} %")
    if result["ties"]:
        say(
            f"in {result['ties']:,} of {result['frames']:,} frames several classes have the"
            " greatest score; the label is the first of them"
        )
    if result["saturated"]:
        say(f"warning: {result['saturated']}", style="yellow")
    for note in result["notes"]:
        say(f"note: {note}")
