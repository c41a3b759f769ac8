"""Compare a network on several FPGAs and GPUs; every figure has its kind and source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xnorflow.comparison import gpu as gpu_model
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS, DATA_TYPES, Settings
from xnorflow.devices import tables as devices
from xnorflow.devices.figure import Figure, Origin, weakest
from xnorflow.devices.tables import Datum, Family, Fpga, Gpu, Source
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.usage import checked, design_resources, error_of, status

USABLE = {"LUT": 0.70, "FF": 0.50, "block RAM": 0.80}
"""Share of each resource up to which FINN expects timing closure (src/finn/util/platforms.py)."""


@dataclass(frozen=True)
class Row:
    """Figures of a device in one configuration.

    Parameters
    ----------
    device, title : str
        Name as the user gave it, and full name.
    category : str
        "FPGA" or "GPU".
    data_type : str
        Type of the arithmetic: "fp16", "int8" or "b1" on a GPU, "exact" on an FPGA.
    batch : int
        Frames per batch.
    column : str
        Kind of a GPU's estimate, see `xnorflow.comparison.gpu.COLUMN_TEXT`; "" for an FPGA.
    figures : mapping of str to Figure
        "fps" and "latency"; where known also "energy", "clock", "ii", "luts", "ffs",
        "ram_blocks", "dsps" and their shares of the device ("luts_share", ...). For reference,
        "popcount_bound" is the 1-bit rate of a GPU's CUDA cores.
    notes : tuple of str
        Remarks that a reader needs to interpret the figures.
    family : Family, optional
        Family of an FPGA; None for a GPU.
    """

    device: str
    title: str
    category: str
    data_type: str
    batch: int
    column: str
    figures: Mapping[str, Figure]
    notes: tuple[str, ...] = ()
    family: Family | None = None

    @property
    def fits(self) -> bool:
        """Whether no estimated resource exceeds the device."""
        return all(self.figures[k].value <= 100 for k in self.figures if k.endswith("_share"))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, for ``json.dump``."""
        return {
            "device": self.device,
            "title": self.title,
            "category": self.category,
            "data_type": self.data_type,
            "batch": self.batch,
            "column": self.column,
            "fits": self.fits,
            "notes": list(self.notes),
            "figures": {k: f.to_json() for k, f in self.figures.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """A comparison of a network on several devices.

    Parameters
    ----------
    name : str
        Name of the network.
    macs, weights : int
        Multiply-accumulates per frame and number of weights of the network.
    rows : tuple of Row
        Rows of figures, FPGAs first, then GPUs.
    sources : mapping of str to Source
        Source of every device figure that was used; a key names the device and the figure.
    fairness : tuple of str
        Assumptions that a reader needs to judge how fair the comparison is.
    omitted : tuple of str
        Estimates that are left out, each with the reason.
    settings : Settings
        Efficiencies of the GPU model that were used.
    """

    name: str
    macs: int
    weights: int
    rows: tuple[Row, ...]
    sources: Mapping[str, Source]
    fairness: tuple[str, ...]
    omitted: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)

    @property
    def families(self) -> dict[str, Family]:
        """FPGA families of the rows, by name."""
        return _families(self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, for ``json.dump``."""
        return {
            "network": self.name,
            "macs": self.macs,
            "weights": self.weights,
            "rows": [row.to_json() for row in self.rows],
            "fairness": list(self.fairness),
            "omitted": list(self.omitted),
            "settings": vars(self.settings).copy(),
            "resource_model": {
                name: {"status": status(family), "checked": checked(family)}
                for name, family in self.families.items()
            },
            "sources": {
                key: {
                    "document": s.document,
                    "url": s.url,
                    "looked_up": s.looked_up,
                    "status": s.status,
                }
                for key, s in self.sources.items()
            },
        }


def compare(
    shape: DesignSummary | Mapping[str, DesignSummary],
    fpgas: Iterable[str],
    gpus: Iterable[str],
    *,
    clocks: Mapping[str, float | Figure] | None = None,
    batches: Sequence[int] = (1, 1024),
    settings: Settings | None = None,
) -> Comparison:
    """Compare a network on FPGAs and GPUs.

    Parameters
    ----------
    shape : DesignSummary, or mapping of str to DesignSummary
        Design that all boards get; or, by name of the board, a design for each, all of the same
        network.
    fpgas, gpus : iterable of str
        Names of boards and of GPUs.
    clocks : mapping of str to float or Figure, optional
        Clock in MHz by name of the board, instead of the one assumed for its family. A Figure also
        says how the clock is known, for example that it is "placed".
    batches : sequence of int
        Batch sizes of the GPUs, in frames.
    settings : Settings, optional
        Efficiencies of the GPU model.

    Returns
    -------
    Comparison
        Rows in the order of `fpgas` and `gpus`, with sources and assumptions.

    Raises
    ------
    BadInput
        If a device is unknown, a clock is not positive, or the designs are of different networks.
    """
    fpgas, gpus = list(dict.fromkeys(fpgas)), list(dict.fromkeys(gpus))
    batches = list(dict.fromkeys(batches))
    settings = settings or Settings()
    designs = dict(shape) if isinstance(shape, Mapping) else dict.fromkeys(fpgas, shape)
    if missing := [b for b in fpgas if b not in designs]:
        raise BadInput(f"there is no design for {', '.join(missing)}")
    network = shape if isinstance(shape, DesignSummary) else next(iter(shape.values()), None)
    if network is None or len({(d.macs, d.weights) for d in designs.values()}) > 1:
        raise BadInput("the designs to compare have to be of the same network")
    clocks = clocks or {}
    if strange := sorted(set(clocks) - set(fpgas)):
        raise BadInput(
            f"a clock is given for {', '.join(strange)}, but only these boards are compared:"
            f" {', '.join(fpgas)}"
        )
    sources: dict[str, Source] = {}
    omitted: list[str] = []
    rows = [_fpga_row(devices.fpga(b), designs[b], clocks.get(b), sources) for b in fpgas]
    for name in gpus:
        rows += _gpu_rows(devices.gpu(name), network, batches, settings, sources, omitted)
    fairness = _fairness(network, rows, settings)
    return Comparison(
        network.name,
        network.macs,
        network.weights,
        tuple(rows),
        sources,
        fairness,
        tuple(omitted),
        settings,
    )


def _fpga_row(
    fpga: Fpga, design: DesignSummary, clock: float | Figure | None, sources: dict[str, Source]
) -> Row:
    family = fpga.family
    mhz = _clock(fpga, clock)
    if clock is None:
        sources[f"{fpga.board} clock"] = family.clock_mhz.source
    kind = weakest(design.kind, mhz.kind)
    how = f"interval and latency: {design.how}; clock: {mhz.how}"
    error = f"clock {mhz.error}" if mhz.error else None
    figures = {
        "fps": Figure(mhz.value * 1e6 / design.ii, "frames/s", kind, how, error),
        "latency": Figure(design.latency / mhz.value, "us", kind, how, error),
        "clock": mhz,
        "ii": Figure(design.ii, "cycles", design.kind, design.how),
    }
    notes = []
    used = design_resources(design, family)
    known = {
        "luts": error_of(family, "lut"),
        "ffs": error_of(family, "ff"),
        "ram_blocks": error_of(family, "bram"),
    }
    for key, name, amount, there in (
        ("luts", "LUT", used.luts, fpga.luts),
        ("ffs", "FF", used.ffs, fpga.ffs),
        ("ram_blocks", "block RAM", used.ram_blocks, fpga.ram_blocks),
    ):
        unit = {"luts": f"LUT{family.lut_inputs}", "ffs": "FF", "ram_blocks": family.ram}[key]
        figures[key] = Figure(
            round(amount),
            unit,
            Origin.ESTIMATED,
            "exact packing of the model's memories"
            if key == "ram_blocks"
            else "sum over the components in the model of xnorflow.resources.usage",
            known[key],
        )
        share = 100 * amount / there.use()
        figures[f"{key}_share"] = Figure(share, "%", Origin.ESTIMATED, "of the part's", known[key])
        sources[f"{fpga.board} {name}"] = there.source
        if share > 100:
            notes.append(f"does not fit: {share:.0f} % of the {name} (estimated)")
        elif share > 100 * USABLE[name]:
            notes.append(f"tight: {share:.0f} % of the {name} (estimated)")
    sources[f"{fpga.board} {family.ram} shapes"] = family.ram_source
    if used.dsps and family.dsp is not None:
        _add_dsps(used.dsps, fpga, figures, notes)
        sources[f"{fpga.board} DSP"] = fpga.dsps.source
        sources[f"{fpga.board} products"] = family.dsp.source
    if fpga.power_w is not None and fpga.power_w.usable:
        watts = fpga.power_w.use()
        figures["energy"] = Figure(
            watts / figures["fps"].value * 1e3,
            "mJ/frame",
            Origin.ESTIMATED,
            f"published board power {watts:g} W x interval",
            "upper bound",
        )
        sources[f"{fpga.board} power"] = fpga.power_w.source
    return Row(
        fpga.board,
        f"{fpga.board} ({fpga.part.upper()})",
        "FPGA",
        "exact",
        1,
        "",
        figures,
        tuple(notes),
        family,
    )


def _add_dsps(dsps: int, fpga: Fpga, figures: dict[str, Figure], notes: list[str]) -> None:
    """Add the DSP blocks of a design to its figures, and a note if the part has too few."""
    how = "what the tools take for the widths of the products"
    figures["dsps"] = Figure(dsps, "DSP", Origin.ESTIMATED, how)
    if not fpga.dsps.usable:
        return
    share = 100 * dsps / max(1.0, fpga.dsps.use())
    figures["dsps_share"] = Figure(share, "%", Origin.ESTIMATED, "of the part's")
    if share > 100:
        notes.append(f"does not fit: {share:.0f} % of the DSP (estimated)")


def _clock(fpga: Fpga, clock: float | Figure | None) -> Figure:
    if clock is None:
        datum = fpga.family.clock_mhz
        return Figure(datum.use(), "MHz", Origin.ESTIMATED, datum.source.document, "assumed")
    figure = (
        clock
        if isinstance(clock, Figure)
        else Figure(clock, "MHz", Origin.ESTIMATED, "set by the user", "assumed")
    )
    if not 0 < figure.value < 10_000:
        raise BadInput(
            f"{fpga.board}: a clock of {figure.value:g} MHz is not possible; it has to be above 0"
            " and below 10,000 MHz"
        )
    return figure


def _gpu_rows(
    gpu: Gpu,
    network: DesignSummary,
    batches: Sequence[int],
    settings: Settings,
    sources: dict[str, Source],
    omitted: list[str],
) -> list[Row]:
    rows = []
    used: dict[str, Datum] = {"bandwidth": gpu.bandwidth_gbs, "power": gpu.power_w}
    for data_type in DATA_TYPES:
        if not gpu_model.supports(gpu, data_type):
            omitted.append(f"{gpu.title}: {data_type}, no source for its peak rate")
            continue
        used[data_type] = gpu.tops[data_type]
        for batch in batches:
            for column in COLUMNS:
                found = gpu_model.estimate(network, gpu, data_type, batch, column, settings)
                if found is None:
                    continue
                figures = {"fps": found.fps, "latency": found.latency}
                if found.energy is not None:
                    figures["energy"] = found.energy
                bound = gpu_model.popcount_bound(gpu)
                if bound is not None and (data_type, column) == ("b1", "peak"):
                    figures["popcount_bound"] = bound
                    sources[f"{gpu.name} population count"] = gpu.popc_per_clock_sm.source
                as_int8 = [t.name for t in found.layers if t.data_type != data_type]
                notes = (f"in INT8: {', '.join(as_int8)}",) if as_int8 else ()
                rows.append(
                    Row(gpu.name, gpu.title, "GPU", data_type, batch, column, figures, notes)
                )
    sources.update({f"{gpu.name} {key}": d.source for key, d in used.items() if d.usable})
    return rows


def _families(rows: Sequence[Row]) -> dict[str, Family]:
    return {r.family.name: r.family for r in rows if r.family is not None}


def _fairness(network: DesignSummary, rows: Sequence[Row], settings: Settings) -> tuple[str, ...]:
    assumed = [r.device for r in rows if r.category == "FPGA" and r.figures["clock"].error]
    placed = [
        r.device
        for r in rows
        if r.category == "FPGA" and r.figures["clock"].kind in (Origin.PLACED, Origin.MEASURED)
    ]
    models = "; ".join(f"{name}: {status(f)}, {checked(f)}" for name, f in _families(rows).items())
    notes = [
        f"Same network everywhere: {network.name}, {network.macs:,} multiply-accumulates a frame, "
        "2 operations each; first and last layer included.",
        "FPGA and 1-bit GPU figures are of the binary network itself. FP16 and INT8 run the same "
        "layers in wider arithmetic, not a network of the same accuracy: a wider network of fewer "
        "layers or channels may reach that accuracy."
        + (f" Accuracy: {network.accuracy}" if network.accuracy else ""),
        "FPGAs take one frame at a time (batch 1) and start the next every interval; a GPU's "
        "latency is that of its whole batch.",
        f"Clocks assumed, not placed: {', '.join(assumed) or 'none'}. "
        f"Placed or measured: {', '.join(placed) or 'none'}.",
        f"Resources: {models or 'none'}. Board logic and host link are not included.",
        "GPU data is in its memory at the start and the end; pools and thresholds cost nothing; "
        "every layer reads its weights and features from memory, though a small network may stay "
        "in the cache.",
        f"GPU columns: peak = {COLUMN_TEXT['peak']}; gemm = {COLUMN_TEXT['gemm']}; end-to-end = "
        f"{COLUMN_TEXT['end-to-end']}. Efficiencies {settings.gemm_efficiency:g} (one data point, "
        f"CUTLASS on A100), {settings.end_to_end_efficiency:g} (one data point, TCBNN on Turing), "
        f"bandwidth {settings.bandwidth_efficiency:g} and launch {settings.launch_us:g} us "
        "(assumed); all can be set.",
        "Energy is board power times time, an upper bound, and only where the power is published.",
    ]
    return tuple(notes)
