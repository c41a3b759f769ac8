"""What ``xnorflow inspect --passes`` shows: each pass from the file to the hardware."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xnorflow import ir
from xnorflow.cli import console
from xnorflow.cli.options import ReadingOptions, read_model
from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.report.pass_reports import HardwareWatch, PassReport, lowering_passes


def reports(
    model: Path,
    net: ir.IntegerNetwork,
    board: str | None,
    reading: ReadingOptions,
) -> Iterator[PassReport]:
    """Yield what each pass of lowering did, if the model is an ONNX file, and of the hardware.

    Parameters
    ----------
    model : path
        The file, or a design folder.
    net : IntegerNetwork
        The network that it holds.
    board : str, optional
        The board that the hardware is planned for, at the folding that `compile` would choose.
    reading : ReadingOptions
        How the file is read.
    """
    if model.suffix == ".onnx":
        yield from lowering_passes(*read_model(model, reading), merge=reading.merge)
    design = compile_network(net, board, must_fit=False)
    watch = HardwareWatch()
    accelerator(
        net,
        design.folds,
        in_lanes=design.spec.input.lanes,
        out_lanes=design.spec.out_lanes,
        device=None if board is None else fpga(board),
        watch=watch,
    )
    yield from watch.reports


def show(found: list[PassReport]) -> None:
    """Print reports: a line for each pass, and below it what it changed."""
    for report in found:
        console.say(f": {report.what}", report.name, hang=4)
        for change in report.changes or ("changes nothing",):
            console.say(f"  {change}", hang=4)
