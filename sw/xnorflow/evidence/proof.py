"""The comparison of all implementations of a model on a user's images.

`check` reads the model, runs the golden model, and compares it with the file in its executor, with
the Verilog in a simulator, and with a synthesised netlist, as far as they are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import arguments, ir
from xnorflow.api import load
from xnorflow.compiler import compile_network
from xnorflow.design.design import Design
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.evidence.against_file import GOLDEN, Stages, Tick, against_file, compared
from xnorflow.evidence.design_text import DesignText, alterations, locate_first, read_text
from xnorflow.evidence.record import Evidence, Outcome, array_digest
from xnorflow.evidence.score_orders import tied
from xnorflow.evidence.tool_versions import tool_versions
from xnorflow.frontend import read
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir.input_kind import FILE
from xnorflow.ir.looked_up import all_multiplied
from xnorflow.progress import bar
from xnorflow.version import __version__
from xnorflow_sim import golden

NetlistRun = tuple[str, ir.Ints]
"""Names of the tools that synthesised and simulated a netlist, and the scores."""
PrepareNetlist = Callable[[Design], Callable[[NDArray[np.uint8]], NetlistRun]]
"""Takes a design, and refuses it at once if it has to; returns a function that runs frames."""

FOLDER_FRAMES = 10
"""Default number of frames that run through the Verilog of a design's folder."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The implementations that are compared.

    Parameters
    ----------
    net : IntegerNetwork
        The network whose golden model all others are compared with.
    file : Path or None
        The file for the independent executor; None if there is none.
    notes : tuple of str
        Remarks on the file, for the user.
    design : Design or None
        The hardware; None if no frames run through it.
    text : DesignText or None
        Verilog of a folder, which is simulated in place of the design's own.
    """

    net: ir.IntegerNetwork
    file: Path | None
    notes: tuple[str, ...]
    design: Design | None
    text: DesignText | None


def check(
    model: str | Path,
    x: NDArray[Any],
    *,
    y: NDArray[Any] | None = None,
    file: str | Path | None = None,
    input: str = "uint8",
    input_scale: float | Fraction | str = 1.0,
    layout: str | None = None,
    fixed_point: int | str | None = None,
    calibrate: str | Path | None = None,
    with_edges: bool = False,
    merge: bool = True,
    edges: int | None = None,
    rtl: int | None = None,
    gates: int = 0,
    board: str | None = None,
    fps: float | None = None,
    cycles: int | None = None,
    folding: str | Path | None = None,
    clock: float | None = None,
    jobs: int = 1,
    netlist: PrepareNetlist | None = None,
    stages: Stages | None = None,
    progress: bool = False,
    command: tuple[str, ...] = (),
) -> Evidence:
    """Check on images that the file, golden model, Verilog and netlist of a model agree.

    Parameters
    ----------
    model : path
        An ONNX or QONNX file, a ``network.npz``, or the folder of a design, whose present Verilog
        is simulated.
    x : array [N, ...]
        Images, in any form that the network takes; uint8 by default.
    y : integer array [N], optional
        Labels of the images, for the accuracy.
    file : path, optional
        The file that a ``network.npz`` or a design was made from, for the executor.
    input, input_scale, layout, fixed_point, calibrate
        As for `xnorflow.load`. What fixed point rounds may give other scores than the file; that is
        counted, and is no failure.
    with_edges : bool
        As `edges` for `xnorflow.load`.
    merge : bool
        As for `xnorflow.load`.
    edges : int, optional
        Number of enabled edges of each layer, all by default. The file computes with all of them,
        so the executor runs only if all are enabled.
    rtl : int, optional
        Number of images that run through the Verilog; by default 10 for a folder, and else 0.
    gates : int
        Number of images that run through the netlist.
    board, fps, cycles, folding, clock
        As for `xnorflow.compile`; for a folder only `board` may be given.
    jobs : int
        Number of processes for the simulation.
    netlist : callable, optional
        Function that prepares the simulation of a netlist, see `PrepareNetlist`; needed for
        `gates`.
    stages : callable, optional
        Function that opens a progress bar, see `Stages`.
    progress : bool
        Whether progress bars are shown, where `stages` is not given.
    command : tuple of str
        Command line, which is recorded.

    Returns
    -------
    Evidence
        The result of every comparison. A difference is recorded, not raised.

    Raises
    ------
    BadInput
        If model, data or options do not fit together.
    UnsupportedModel
        If the file cannot be mapped.
    CheckFailed
        If the executor fails on the file.
    ToolMissing
        If an executor or simulator is not installed.
    """
    model = arguments.path(model, "xnorflow.check")
    x = np.asarray(arguments.samples(x, "xnorflow.check"))
    opened = stages or (bar if progress else _silent)
    options: dict[str, Any] = {
        "input": input,
        "input_scale": str(input_scale) if isinstance(input_scale, Fraction) else input_scale,
        "layout": layout,
        "fixed_point": fixed_point,
        "calibrate": None if calibrate is None else str(calibrate),
        "board": board,
        "fps": fps,
        "cycles": cycles,
        "folding": None if folding is None else str(folding),
        "clock": clock,
        # A check of before knew nothing of these, and is repeated as it was.
        **({"with_edges": 1} if with_edges else {}),
        **({"merge": 0} if not merge else {}),
        **({"edges": edges} if edges is not None else {}),
    }
    if rtl is None:
        rtl = min(FOLDER_FRAMES, len(x)) if model.is_dir() else 0
    subject = _subject(model, file, options, hardware=rtl > 0 or gates > 0)
    frames = golden.frames(subject.net, x)
    if max(rtl, gates) > len(x) or min(rtl, gates) < 0:
        raise BadInput(
            f"rtl={rtl} and gates={gates} frames were asked for; there are {len(x)}: give a number"
            f" from 0 to {len(x)} for each"
        )
    if gates and netlist is None:
        raise BadInput("gates: the parameter `netlist` is needed, which simulates a netlist")
    on_gates = None
    if gates and netlist is not None and subject.design is not None:
        on_gates = netlist(subject.design)
    with opened(GOLDEN) as tick:
        scores = golden.run_frames(subject.net, frames, tick, edges)
    outcomes = []
    notes = [*subject.net.notes, *subject.notes]
    all_edges = edges in (None, subject.net.edge_count)
    if not all_edges:
        notes.append(
            f"With {edges} of {subject.net.edge_count} edges the network is not what the file"
            " computes; the file was not executed."
        )
    if subject.file is not None and all_edges:
        scale = _scale(subject.file, options)
        outcome, said = against_file(subject.net, subject.file, x, scores, scale, opened)
        outcomes.append(outcome)
        notes += said
    tools = tool_versions(rtl=rtl > 0 or gates > 0)
    altered: tuple[str, ...] = ()
    if subject.text is not None and subject.design is not None:
        altered, said = _text(subject.design, subject.text)
        notes += said
    if rtl:
        simulator = f"Verilator {tools['verilator']}"
        with opened(f"RTL in {simulator}") as tick:
            outcomes.append(_rtl(subject, frames[:rtl], scores[:rtl], simulator, jobs, tick, edges))
    if on_gates is not None and not all_edges:
        raise BadInput("gates: the netlist runs with all edges; leave out edges, or gates")
    if on_gates is not None:
        with opened("netlist"):
            outcomes.append(_gates(subject, frames[:gates], scores[:gates], on_gates))
    design = subject.design
    return Evidence(
        version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        model={
            "path": str(model),
            "sha256": _file_digest(model / "design.json" if model.is_dir() else model),
            "kind": _kind(model),
            "file": None if file is None else str(file),
            "file_sha256": None if file is None else _file_digest(Path(file)),
        },
        data={
            "sha256": array_digest(x),
            "labels_sha256": None if y is None else array_digest(np.asarray(y, np.int64)),
            "frames": len(x),
            "shape": list(x.shape[1:]),
        },
        network={"name": subject.net.name, "digest": subject.net.digest},
        design={}
        if design is None
        else {
            "digest": design.digest if subject.text is None else subject.text.digest,
            "board": design.board_name,
            "ii": design.ii,
            "latency": design.latency,
        },
        options=options | {"frames": len(x), "rtl": rtl, "gates": gates},
        tools=tools,
        outcomes=tuple(outcomes),
        alterations=altered,
        notes=tuple(dict.fromkeys(notes)),
        tied=tied(subject.net, scores),
        accuracy=None if y is None else subject.net.accuracy(scores, y),
    )


def _silent(title: str) -> AbstractContextManager[Tick]:
    return nullcontext(lambda done, total: None)


def _subject(
    model: Path, file: str | Path | None, options: dict[str, Any], *, hardware: bool
) -> Subject:
    """Read the model, and compile it if `hardware` is needed; BadInput if options do not fit."""
    targets = {name: options[name] for name in ("board", "fps", "cycles", "folding", "clock")}
    given = [name for name, value in targets.items() if value is not None]
    kind = _kind(model)
    if kind == "design":
        # The netlist of a design may be made for another board.
        if useless := [name for name in given if name != "board"]:
            raise BadInput(f"{useless[0]}: {model} is compiled already; leave the option out")
        made = Design.describe(model)
        text = read_text(model, made)
        return Subject(made.net, *_origin(model, made.net, file, options), made, text)
    # With its file, an archive leaves to it what says how files are read.
    own = {"layout": options["layout"]} if kind == "network" and file else _loading(options)
    net = load(model, **own)
    design = compile_network(net, **targets) if hardware else None
    if given and not hardware:
        raise BadInput(
            f"{given[0]} is for hardware: ask for frames through the RTL (rtl) or the netlist"
            " (gates), or leave it out"
        )
    if kind == "network":
        return Subject(net, *_origin(model, net, file, options), design, None)
    if file is not None:
        raise BadInput(
            f"{file}: the executor runs {model} itself, as it is a model file; leave the other out"
        )
    return Subject(net, model, (), design, None)


def _reading(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that say how a file is read."""
    return {name: options[name] for name in ("input", "input_scale", "layout")}


def _loading(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that say how a network is made of a file."""
    return (
        _reading(options)
        | {name: options[name] for name in ("fixed_point", "calibrate")}
        | {"edges": bool(options.get("with_edges")), "merge": bool(options.get("merge", 1))}
    )


def _scale(file: Path, options: dict[str, Any]) -> InputScale:
    """Return the scaling of samples to a file's input; the file decides it for "file" samples."""
    if options["input"] == FILE:
        return read(file, **_reading(options)).input_scale
    return InputScale.of(options["input_scale"])


def _kind(model: Path) -> str:
    return "design" if model.is_dir() else "network" if model.suffix == ".npz" else "file"


def _origin(
    model: Path, net: ir.IntegerNetwork, file: str | Path | None, options: dict[str, Any]
) -> tuple[Path | None, tuple[str, ...]]:
    """Return the file that a network was made from, and remarks on it for the user."""
    if file is None:
        return None, (f"{model.name} came without the file it was made from; none was executed",)
    # The import also protects the executor, because it refuses hostile files.
    made = load(file, **_loading(options), name=net.name)
    # Compiling for a board may have put products in place of lookups.
    if all_multiplied(made).digest != all_multiplied(net).digest:
        return Path(file), (f"{model.name} is not what this version makes of {Path(file).name}",)
    return Path(file), ()


def _text(design: Design, text: DesignText) -> tuple[tuple[str, ...], list[str]]:
    """Compare the text of a folder with its record and with what this version writes.

    Returns
    -------
    alterations : tuple of str
        Places that were altered.
    remarks : list of str
        Remarks for the user.
    """
    if text.intact:
        if text.digest == design.digest:
            return (), []
        return (), [
            f"the folder was written by another xnorflow ({text.version}) or other tools, and is"
            " unaltered"
        ]
    places = alterations(design, text)
    if not places:
        return (), [
            "design.json has another digest of the Verilog, which is equal to what this version"
            " writes"
        ]
    return tuple(map(str, places)), []


def _rtl(
    subject: Subject,
    x: NDArray[np.uint8],
    scores: ir.Ints,
    simulator: str,
    jobs: int,
    tick: Tick,
    edges: int | None = None,
) -> Outcome:
    """Compare the Verilog in a simulator with the golden model's `scores`."""
    design, text = subject.design, subject.text
    assert design is not None
    outcome = Outcome("rtl", f"RTL, {simulator}", GOLDEN, len(x))
    try:
        n = len(x)
        compiled = design.simulator(frames=n) if text is None else text.simulator(design, frames=n)
        counts = None if edges is None else golden.enabled_edges(subject.net, len(x), edges)
        run = compiled.run(x, jobs=jobs, progress=tick, edges=counts)
    except (CheckFailed, BadInput) as e:
        return replace(outcome, failure=str(e))
    wrong = run.scores != scores
    outcome = compared(outcome, run.scores, scores, wrong)
    if wrong.any():
        frame = int(wrong.any(1).argmax())
        try:
            first = str(locate_first(design, text, x[frame : frame + 1], frame, edges))
        except (CheckFailed, BadInput) as e:
            first = f"frame {frame}; with probe ports: {e}"
        outcome = replace(outcome, first=first)
    return outcome


def _gates(
    subject: Subject,
    x: NDArray[np.uint8],
    scores: ir.Ints,
    simulate: Callable[[NDArray[np.uint8]], NetlistRun],
) -> Outcome:
    """Compare the netlist, which `simulate` runs, with the golden model's `scores`."""
    design, text = subject.design, subject.text
    assert design is not None
    outcome = Outcome("gates", "netlist", GOLDEN, len(x))
    if text is not None and text.digest != design.digest:
        why = (
            "the Verilog of the folder differs from what this version writes and would synthesise;"
            " compile the network again"
        )
        return replace(outcome, failure=why)
    try:
        tool, got = simulate(x)
    except CheckFailed as e:
        return replace(outcome, failure=str(e))
    wrong = got != scores
    outcome = compared(replace(outcome, tool=tool), got, scores, wrong)
    if wrong.any():
        frame, score = np.argwhere(wrong)[0]
        outcome = replace(outcome, first=f"frame {frame}, score {score}")
    return outcome


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise BadInput(f"cannot read {path}: {e.strerror or e}") from e
