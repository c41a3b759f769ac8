"""Build the content of ``design.json``: everything a script may want to know about a design."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Protocol, assert_never

from xnorflow import ir
from xnorflow.design.clock import Clock
from xnorflow.design.folder import BOARD, FORMAT
from xnorflow.devices.board_names import portable
from xnorflow.devices.links import FrameBytes, HostLink, link_of, links
from xnorflow.devices.tables import Family, Fpga, fpga, fpgas
from xnorflow.plan.fabric import fabric
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.memories import sprams_of
from xnorflow.plan.reductions import Fold
from xnorflow.plan.tail_choice import GENERIC
from xnorflow.resources.budget import HEADROOM, board_budget
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.score_form import score_forms
from xnorflow.resources.usage import checked, design_resources, status
from xnorflow.schedule.timing import Timing
from xnorflow.version import __version__
from xnorflow_hw.spec import (
    AcceleratorSpec,
    AffineSpec,
    BufferSpec,
    DotSpec,
    EdgeSpec,
    FrontSpec,
    GearboxSpec,
    JoinSpec,
    MacSpec,
    OffsetSpec,
    StageSpec,
    StretchSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
    Weighted,
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
    def ii(self) -> int:
        """Predicted initiation interval in cycles."""

    @property
    def latency(self) -> int:
        """Predicted latency in cycles."""

    @property
    def limit(self) -> str:
        """Reason why no faster folding fits the board."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts of the network that are stages."""

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

    @property
    def headline_fps(self) -> float:
        """Frames per second of accelerator and chosen link together."""

    @property
    def link(self) -> HostLink | None:
        """Chosen link to the host, if any."""

    @property
    def frame_bytes(self) -> FrameBytes:
        """Bytes of a frame and of its scores on the way between host and accelerator."""


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


def _front(front: FrontSpec) -> dict[str, Any]:
    """Return the entries of what delivers a stage's beats."""
    match front:
        case BufferSpec():
            window = {
                "kernel": front.kernel,
                "stride": front.stride,
                "dilation": front.dilation,
                "pads": front.pads,
            }
            return {"window": window, "buffer": _buffer(front)}
        case StretchSpec():
            stretch = {"factors": front.factors, "fill": front.fill, "crop": front.crop}
            return {"stretch": stretch, "buffer": _buffer(front)}
        case JoinSpec():
            ports = [{"lanes": p.lanes, "bits": p.bits, "held": p.hold} for p in front.ports]
            return {"join": {"turns": front.turns, "ports": ports}}
        case _:
            assert_never(front)


def _buffer(front: BufferSpec | StretchSpec) -> dict[str, Any]:
    return {"depth": front.depth, "width": front.word_bits, "kind": front.ram}


def _layer(part: Part, fold: Fold, stage: StageSpec, box: GearboxSpec) -> dict[str, Any]:
    front, a = _front(stage.buffer), stage.array
    entry: dict[str, Any] = {
        "name": part.name,
        "kind": part.kind,
        "nodes": part.layer.sources,
        "input_shape": part.inp.shape,
        "output_shape": part.final.shape,
        "input_alphabet": str(part.inp.alphabet),
        "output_alphabet": str(part.final.alphabet),
        **front,
        "pe": fold.pe,
        "simd": fold.simd,
        "pixels": fold.pixels,
        "cycles": stage.buffer.cycles,
        "gearbox": _gearbox(box),
        "queue_depth": stage.queue_depth,
        "tails": [_tail(tail) for tail in stage.tails],
    }
    if isinstance(a, Weighted) and isinstance(part.layer, ir.Conv | ir.Gather):
        front["window"]["pad_value"] = part.layer.pad_value
        entry |= {
            **_weights(part.layer),
            "rom": {
                "depth": a.weight_words,
                "width": a.word_bits,
                "kind": a.rom.storage,
                "tiles": len(a.rom.tiles),
                **({"sprams": sprams_of(a)} if sprams_of(a) else {}),
            },
            "accumulator_bits": a.acc_bits,
        }
    if isinstance(a, DotSpec):
        entry["sums"] = a.sums
    if isinstance(a, MacSpec):
        entry["multiplier"] = a.multiplier
    if isinstance(a, EdgeSpec):
        entry["edges"] = {"number": a.edges, "factors": a.parts, "factor_bits": a.factor_bits}
    return entry


def _weights(layer: ir.Conv | ir.Gather) -> dict[str, Any]:
    """Return the entries of a layer's weights or of its tables."""
    match layer:
        case ir.Conv():
            return {"weight_alphabet": str(layer.alphabet), "groups": layer.groups}
        case ir.Gather():
            return {"tables": layer.tables, "table_words": layer.words}
        case _:
            assert_never(layer)


def _streams(design: Summarised) -> list[dict[str, Any]]:
    """Return the streams between the parts, each with its source, its sink and its queue."""
    names = ["input", *(part.name for part in design.parts), "output"]
    return [
        {
            "source": names[s.source],
            "sink": names[s.sink + 1],
            "port": s.port,
            "gearbox": _gearbox(s.box),
            "queue": {"depth": s.queue, "width": s.box.bits * s.box.lanes_out, "kind": s.ram}
            if s.queue
            else None,
        }
        for s in design.spec.streams
    ]


def _resources(design: Summarised, family: Family) -> dict[str, Any]:
    used = design_resources(design.shape, family)
    large = {"spram": used.sprams} if used.sprams else {}
    if used.dsps:
        large["dsp"] = used.dsps
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


def resources_on(design: Summarised, device: Fpga) -> dict[str, Any]:
    """Return what a design takes of an FPGA, what that has, and what designs may take."""
    return _resources(design, device.family) | {
        "device": {
            "lut": device.luts.use(),
            "ff": device.ffs.use(),
            "bram": device.ram_blocks.use(),
            **({"spram": device.spram_number} if device.spram_number else {}),
            **({"dsp": int(device.dsps.use())} if device.dsps.usable else {}),
        },
        "usable": _usable(design, device),
    }


def _usable(design: Summarised, device: Fpga) -> dict[str, Any]:
    """Return what designs may take of a device: the rest is headroom and the host link."""
    budget = board_budget(device, prod(design.net.shape))
    return {
        "lut": int(budget.luts),
        "ff": int(budget.ffs),
        "bram": int(budget.ram_blocks),
        "headroom": {name: round(1 - share, 2) for name, share in HEADROOM.items()},
    }


def host_traffic(
    frame: FrameBytes,
    fps: float,
    own: HostLink | None,
    chosen: HostLink | None,
    known: Mapping[str, HostLink],
) -> dict[str, Any]:
    """Return what the frames a second need of a link, and what each link carries.

    Parameters
    ----------
    frame : FrameBytes
        Bytes of a frame and of its scores.
    fps : float
        Frames per second of the accelerator.
    own : HostLink or None
        Link of the board, if any is known.
    chosen : HostLink or None
        Link that the user chose, if any.
    known : mapping of str to HostLink
        All links to describe, by name.
    """
    return {
        "bytes_to_board": frame.sent,
        "bytes_to_host": frame.returned,
        "bytes_per_second": frame.rate(fps),
        "board_link": None if own is None else own.name,
        "chosen": None if chosen is None else chosen.name,
        "links": {
            name: {
                "title": link.title,
                "fps": link.fps(frame),
                "limits": link.fps(frame) < fps,
                "bytes_per_second_to_board": link.to_board.use(),
                "bytes_per_second_to_host": link.to_host.use(),
                "kind": link.figure(frame).kind,
                "source": link.source.document,
            }
            for name, link in known.items()
        },
    }


def _host(design: Summarised) -> dict[str, Any]:
    """Return what a design needs of a link, and what each link carries."""
    own = None if design.board is None else link_of(design.board)
    return host_traffic(design.frame_bytes, design.fps, own, design.link, links())


def _scores(design: Summarised) -> dict[str, Any]:
    """Return how the scores are computed; resources are those on the board or on a usual family."""
    family = fpga(design.board or GENERIC).family
    spec = design.spec
    layers = design.net.score_layers
    forms = score_forms(design.net, design.parts, spec.stages, spec.scores, family)
    known = {"family": family.name, "kind": status(family)}
    each = [
        {
            "form": found.form,
            "bits": found.bits,
            "exponent": layer.exponent,
            "lut": found.luts,
            "bram": found.ram_blocks,
        }
        for layer, found in zip(layers, forms, strict=True)
    ]
    if len(each) > 1:
        named = [{"name": x.name, **entry} for x, entry in zip(layers, each, strict=True)]
        return {"layers": named, **known}
    entry = {**each[0], **known}
    if spec.scores is not None:
        entry |= {
            "latency": spec.scores.latency,
            "multipliers": [s.multiplier for s in spec.scores.steps if s.places is None],
        }
    return entry


def _outputs(net: ir.IntegerNetwork) -> list[dict[str, Any]]:
    """Return the file's outputs, each with the range of its places among the scores of a frame."""
    return [
        {
            "name": output.name,
            "shape": output.shape,
            "first": int(output.gather.min()),
            "last": int(output.gather.max()),
        }
        for output in net.outputs
    ]


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
    # The gearbox of a stage with several inputs is that of the first; all are with the streams.
    boxes = [s.box for s in spec.streams if s.port == 0][: len(spec.stages)]
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
        "headline_fps": design.headline_fps,
        "host": _host(design),
        "limit": design.limit,
        "kind": "estimated by the exact cycle model",
        "notes": net.notes,
        "layers": [
            _layer(*each)
            for each in zip(design.parts, design.folds, spec.stages, boxes, strict=True)
        ],
        **({} if net.chain else {"streams": _streams(design)}),
        "output_gearbox": _gearbox(spec.gearboxes[-1]),
        "scores": _scores(design),
        **({"outputs": _outputs(net)} if net.outputs else {}),
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
        **({"edges": spec.edges} if spec.edges > 1 else {}),
        "files": [f"{net.name}.v", *design.emitted.images],
    }
    if design.board is not None:
        device = fpga(design.board)
        if portable(design.board) is not None:
            content["board_file"] = BOARD
        content["resources"] = resources_on(design, device)
    else:
        families = {device.family.name: device.family for device in fpgas().values()}
        content["resources_by_family"] = {
            name: _resources(design, family) for name, family in families.items()
        }
    return content
