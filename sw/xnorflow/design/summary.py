"""Build the content of ``design.json``: everything a script may want to know about a design."""

from __future__ import annotations

from typing import Any, Protocol, assert_never

from xnorflow import ir
from xnorflow.design.clock import Clock
from xnorflow.design.folder import BOARD, FORMAT
from xnorflow.devices.board_names import portable
from xnorflow.devices.tables import Family, fpga, fpgas
from xnorflow.plan.fabric import fabric
from xnorflow.plan.memories import sprams_of
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.tail_choice import GENERIC
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.score_form import score_form
from xnorflow.resources.usage import checked, design_resources, status
from xnorflow.schedule.timing import Timing
from xnorflow.version import __version__
from xnorflow_hw.spec import (
    AcceleratorSpec,
    AffineSpec,
    DotSpec,
    GearboxSpec,
    OffsetSpec,
    StageSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
)
from xnorflow_hw.top.verilog import Emitted
from xnorflow_sim.interface import Interface


class Summarised(Protocol):
    """Interface of a design: the properties that ``design.json`` is made from."""

    @property
    def net(self) -> ir.IntegerNetwork:
        """Network that the design computes."""

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Folding of each reduction."""

    @property
    def spec(self) -> AcceleratorSpec:
        """Complete description of the hardware."""

    @property
    def board(self) -> str | None:
        """Board, if any, as `xnorflow.devices.tables.fpga` takes it."""

    @property
    def clock(self) -> Clock:
        """Clock for which frames per second are computed."""

    @property
    def timing(self) -> Timing:
        """Predicted initiation interval and latency."""

    @property
    def limit(self) -> str:
        """Reason why no faster folding fits the board."""

    @property
    def parts(self) -> tuple[Reduction, ...]:
        """Reductions of the network."""

    @property
    def shape(self) -> DesignSummary:
        """Plain summary for the estimators."""

    @property
    def emitted(self) -> Emitted:
        """The generated Verilog and the ROM images."""

    @property
    def digest(self) -> str:
        """SHA-256 of the Verilog and the ROM images, in hexadecimal."""

    @property
    def interface(self) -> Interface:
        """Layout of the two AXI-Streams."""

    @property
    def fps(self) -> float:
        """Predicted frames per second at the clock."""


def _gearbox(box: GearboxSpec) -> dict[str, int] | None:
    if not box.needed:
        return None
    return {
        "bits": box.bits,
        "group_in": box.group_in,
        "lanes_in": box.lanes_in,
        "group_out": box.group_out,
        "lanes_out": box.lanes_out,
    }


def _tail(tail: TailSpec) -> dict[str, Any]:
    match tail:
        case ThresholdSpec():
            rows, lanes, thresholds = tail.thresholds.shape
            return {
                "kind": "thresholds",
                "rows": rows,
                "lanes": lanes,
                "thresholds": thresholds,
                "rom": tail.rom.storage,
            }
        case AffineSpec():
            rows, lanes = tail.multiply.shape
            return {
                "kind": "affine",
                "rows": rows,
                "lanes": lanes,
                "levels": tail.levels,
                "factor_bits": tail.factor_bits,
                "shift": tail.shift,
                "ties": bool(tail.ties.any()),
                "late": tail.late is not None,
                "multiplier": tail.multiplier,
                "rom": tail.rom.storage,
            }
        case OffsetSpec():
            rows, lanes = tail.offset.shape
            return {"kind": "offsets", "rows": rows, "lanes": lanes, "rom": tail.rom.storage}
        case TableSpec():
            rows, lanes, entries = tail.table.shape
            return {
                "kind": "table",
                "rows": rows,
                "lanes": lanes,
                "entries": entries,
                "rom": tail.rom.storage,
            }
        case _:
            assert_never(tail)


def _layer(part: Reduction, fold: Fold, stage: StageSpec, box: GearboxSpec) -> dict[str, Any]:
    b, a = stage.buffer, stage.array
    window: dict[str, Any] = {
        "kernel": b.kernel,
        "stride": b.stride,
        "dilation": b.dilation,
        "pads": b.pads,
    }
    entry: dict[str, Any] = {
        "name": part.name,
        "kind": part.layer.kind,
        "nodes": part.layer.sources,
        "input_shape": part.inp.shape,
        "output_shape": part.final.shape,
        "input_alphabet": str(part.inp.alphabet),
        "output_alphabet": str(part.final.alphabet),
        "window": window,
        "pe": fold.pe,
        "simd": fold.simd,
        "pixels": fold.pixels,
        "cycles": b.cycles,
        "gearbox": _gearbox(box),
        "buffer": {"depth": b.depth, "width": b.word_bits, "kind": b.ram},
        "queue_depth": stage.queue_depth,
        "tails": [_tail(tail) for tail in stage.tails],
    }
    if isinstance(a, DotSpec) and isinstance(part.layer, ir.Conv):
        depth, planes, pe, simd = a.weights.shape
        window["pad_value"] = part.layer.pad_value
        entry |= {
            "weight_alphabet": str(part.layer.alphabet),
            "groups": part.layer.groups,
            "rom": {
                "depth": depth,
                "width": planes * pe * simd,
                "kind": a.rom.storage,
                "tiles": len(a.rom.tiles),
                **({"sprams": sprams_of(a)} if sprams_of(a) else {}),
            },
            "accumulator_bits": a.acc_bits,
        }
    return entry


def _resources(design: Summarised, family: Family) -> dict[str, Any]:
    used = design_resources(design.shape, family)
    large = {"spram": used.sprams} if used.sprams else {}
    return {
        "lut": round(used.luts),
        "ff": round(used.ffs),
        "bram": round(used.ram_blocks),
        **large,
        "bram_unit": family.ram,
        "lut_inputs": family.lut_inputs,
        "kind": status(family),
        "error": checked(family),
    }


def _scores(design: Summarised) -> dict[str, Any]:
    """Return how the scores are computed; resources are those on the board or on a usual family."""
    family = fpga(design.board or GENERIC).family
    spec = design.spec
    found = score_form(design.net.scores, spec.stages[-1], spec.scores, family)
    entry = {
        "form": found.form,
        "bits": found.bits,
        "exponent": design.net.scores.exponent,
        "lut": found.luts,
        "bram": found.ram_blocks,
        "family": family.name,
        "kind": status(family),
    }
    if spec.scores is not None:
        entry |= {
            "latency": spec.scores.latency,
            "multipliers": [s.multiplier for s in spec.scores.steps if s.places is None],
        }
    return entry


def summary(design: Summarised) -> dict[str, Any]:
    """Return the content of ``design.json``, a dictionary of plain values.

    The `pe` and the `simd` of a pool are both its number of lanes. Resources are those on the
    design's board or, if it has none, on every family.

    Parameters
    ----------
    design : Summarised
        Design to describe.
    """
    net, spec, interface = design.net, design.spec, design.interface
    content: dict[str, Any] = {
        "format": FORMAT,
        "xnorflow": __version__,
        "name": net.name,
        "network_digest": net.digest,
        "design_digest": design.digest,
        "board": None if design.board is None else fpga(design.board).board,
        "fabric": fabric(spec),
        "clock_mhz": design.clock.mhz,
        "clock_source": design.clock.source,
        "ii": design.timing.ii,
        "ii_bound": design.timing.bound,
        "busiest": design.timing.busiest,
        "latency": design.timing.latency,
        "fps": design.fps,
        "limit": design.limit,
        "kind": "estimated by the exact cycle model",
        "notes": net.notes,
        "layers": [
            _layer(*each)
            for each in zip(
                design.parts, design.folds, spec.stages, spec.gearboxes[:-1], strict=True
            )
        ],
        "output_gearbox": _gearbox(spec.gearboxes[-1]),
        "scores": _scores(design),
        "input": {
            "samples": str(net.samples),
            "x": net.input_order.describe(net.shape),
            "frame": net.shape,
        },
        "interface": {
            "s_axis": {
                "lanes": interface.in_lanes,
                "bits_per_lane": 8 * interface.sample_bytes,
                "group": interface.in_group,
                "beats_per_frame": interface.in_beats,
            },
            "m_axis": {
                "lanes": interface.out_lanes,
                "bits_per_lane": interface.out_bits,
                "scores_per_frame": interface.classes,
                "beats_per_frame": interface.out_beats,
            },
        },
        "files": [f"{net.name}.v", *design.emitted.images],
    }
    if design.board is not None:
        device = fpga(design.board)
        if portable(design.board) is not None:
            content["board_file"] = BOARD
        content["resources"] = _resources(design, device.family) | {
            "device": {
                "lut": device.luts.use(),
                "ff": device.ffs.use(),
                "bram": device.ram_blocks.use(),
                **({"spram": device.spram_number} if device.spram_number else {}),
            },
        }
    else:
        families = {device.family.name: device.family for device in fpgas().values()}
        content["resources_by_family"] = {
            name: _resources(design, family) for name, family in families.items()
        }
    return content
