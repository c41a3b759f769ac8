"""Put together the reports of the commands: a design's, a comparison's, a proof's, the demo's."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from xnorflow.comparison.comparison import Comparison
from xnorflow.design.design import Design
from xnorflow.devices.figure import Origin
from xnorflow.evidence.record import Evidence
from xnorflow.report.page import sections_comparison as compared
from xnorflow.report.page import sections_design as designed
from xnorflow.report.page import sections_proof as proved
from xnorflow.report.page import sections_sweep as swept
from xnorflow.report.page.images import gallery
from xnorflow.report.page.page_blocks import Fact, Notes, Report, Section, counted
from xnorflow.report.page.sections_sweep import SweepRows
from xnorflow.version import __version__

Front = Sequence[tuple[int, float, float]]
"""Interval in cycles, LUTs and frames per second of foldings."""


def _origin(command: Sequence[str], more: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: value for name, value in more.items() if value},
        "command": shlex.join(command),
        "xnorflow": __version__,
        "Python": f"{platform.python_version()} on {platform.machine()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _digests(design: Design) -> dict[str, str]:
    return {
        "network digest": f"SHA-256 {design.net.digest}",
        "design digest": f"SHA-256 {design.digest}",
    }


def _lead(name: str, macs: int, weights: int) -> str:
    return f"{name}: {macs:,} multiply-accumulates a frame, {weights:,} weights."


def _design_sections(design: Design, front: Front) -> list[Section]:
    found = [
        designed.network_section(design),
        designed.layers_section(design),
        designed.resources_section(design, front),
        designed.pipeline_section(design),
        designed.links_section(design),
    ]
    return [section for section in found if section is not None]


def _notes(notes: Sequence[str]) -> list[Section]:
    return [Section("notes", "Notes on the import", [Notes(notes)])] if notes else []


def of_design(design: Design, command: Sequence[str], front: Front = ()) -> Report:
    """Return the report of a compiled design.

    Parameters
    ----------
    design : Design
        The design.
    command : sequence of str
        Command line that made it.
    front : sequence of (int, float, float)
        Interval, LUTs and frames per second of other foldings.
    """
    shape = design.shape
    return Report(
        f"{design.net.name}{'' if design.board is None else f' on {design.board_name}'}",
        _lead(design.net.name, shape.macs, shape.weights),
        designed.design_facts(design),
        [*_design_sections(design, front), *_notes(design.net.notes)],
        _origin(command, _digests(design)),
    )


def of_comparison(
    comparison: Comparison,
    command: Sequence[str],
    digest: str = "",
) -> Report:
    """Return the report of a comparison.

    Parameters
    ----------
    comparison : Comparison
        Figures.
    command : sequence of str
        Command line that made it.
    digest : str
        Digest of the network.
    """
    return Report(
        f"{comparison.name}: FPGAs and GPUs side by side",
        _lead(comparison.name, comparison.macs, comparison.weights),
        compared.comparison_facts(comparison),
        _comparison_sections(comparison),
        _origin(command, {"network digest": f"SHA-256 {digest}" if digest else ""}),
    )


def _comparison_sections(comparison: Comparison) -> list[Section]:
    found = [
        compared.devices_section(comparison),
        compared.fpga_section(comparison),
        compared.gpu_section(comparison),
        compared.energy_section(comparison),
        *compared.closing_sections(comparison),
    ]
    return [section for section in found if section is not None]


def of_sweep(rows: SweepRows, command: Sequence[str]) -> Report:
    """Return the report of a sweep over foldings.

    Parameters
    ----------
    rows : SweepRows
        Its points, and those of the fronts.
    command : sequence of str
        Command line that made it.
    """
    names = rows.networks
    notes = [
        "Points are evaluated by the cost tables of the folding search: resources are estimated"
        " with approximate depths of buffers and queues, and the interval is that of the busiest"
        " layer. Foldings of the fronts have the exact schedule.",
        "'fits' leaves the usual headroom for place and route, 'tight' does not: compile --board"
        " refuses it.",
        "Frames per second are those of the accelerator, without the board's link.",
    ]
    return Report(
        f"Sweep of {', '.join(names.values())}",
        f"{len(rows.points):,} combinations of network, device, target and clock.",
        swept.sweep_facts(rows),
        [*swept.front_sections(rows), Section("reading", "How to read this", [Notes(notes)])],
        _origin(command, {f"digest of {name}": f"SHA-256 {d}" for d, name in names.items()}),
    )


def of_proof(
    found: Evidence,
    x: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    truths: NDArray[Any] | None = None,
    *,
    design: Design | None = None,
    ties_allowed: bool = False,
    classes: Sequence[str] = (),
) -> Report:
    """Return the report of a proof.

    Parameters
    ----------
    found : Evidence
        What was compared and found.
    x, labels, truths : arrays, optional
        Images, the labels of the golden model, and true labels.
    design : Design, optional
        The design whose Verilog was simulated.
    ties_allowed : bool
        Whether equal scores in another order are no fault.
    classes : sequence of str
        Names of the labels.
    """
    sections = [proved.proof_section(found)]
    if x is not None and labels is not None:
        images = gallery(x, labels, truths, classes=classes, by="the golden model")
        if images is not None:
            sections.insert(0, Section("images", "Images", [images]))
    facts = proved.proof_facts(found, ties_allowed=ties_allowed)
    if design is not None:
        facts += designed.design_facts(design)
        sections += _design_sections(design, ())
    origin = {
        "model digest": f"SHA-256 {found.model.get('sha256')}",
        "data digest": f"SHA-256 {found.data.get('sha256')}",
        "network digest": f"SHA-256 {found.network.get('digest')}",
        "command": shlex.join(found.command),
        "xnorflow": found.version,
        "tools": ", ".join(f"{name} {version}" for name, version in found.tools.items()),
        "date": found.date,
    }
    name = str(found.network.get("name", "network"))
    return Report(
        f"{name}: proof",
        f"{counted(found.data.get('frames', 0), 'frame')}.",
        facts,
        sections,
        origin,
    )


def of_demo(
    design: Design,
    comparison: Comparison,
    x: NDArray[Any],
    labels: NDArray[Any],
    truths: NDArray[Any],
    command: Sequence[str],
    front: Front = (),
) -> Report:
    """Return the report of the demo.

    Parameters
    ----------
    design : Design
        The design whose Verilog was simulated on all images, every score equal.
    comparison : Comparison
        Figures of devices.
    x, labels, truths : arrays
        Images, the labels that the simulated hardware gave, and the true ones.
    command, front
        As for `of_design`.
    """
    accuracy = float((labels == truths).mean())
    scores = len(x) * design.net.score_count
    facts = [
        Fact(
            "Accuracy",
            f"{100 * accuracy:.2f} %",
            f"of {len(x):,} held-out images, by the simulated Verilog",
            kind=Origin.SIMULATED,
        ),
        Fact(
            "Mismatches",
            f"0 of {scores:,} scores",
            "Verilog against the golden model, at full speed and stalled at random",
            True,
            Origin.SIMULATED,
        ),
        *designed.design_facts(design, simulated=True),
    ]
    images = gallery(x, labels, truths, classes=design.net.classes, by="the simulated hardware")
    sections = [] if images is None else [Section("images", "Images", [images])]
    sections += _design_sections(design, front)
    sections += _comparison_sections(comparison)
    return Report(
        f"{design.net.name}: from a trained network to an FPGA",
        _lead(design.net.name, design.shape.macs, design.shape.weights),
        facts,
        sections,
        _origin(command, _digests(design)),
    )
