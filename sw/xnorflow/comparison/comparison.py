"""Compare a network on several FPGAs and GPUs; every figure has its kind and source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xnorflow.cards import Card, Shown
from xnorflow.comparison import gpu as gpu_model
from xnorflow.comparison.fpga_row import fpga_row, traffic
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS, DATA_TYPES, Settings
from xnorflow.comparison.placed import PlacedDesign
from xnorflow.comparison.row import Row
from xnorflow.devices import links
from xnorflow.devices import tables as devices
from xnorflow.devices.figure import Figure, Origin
from xnorflow.devices.tables import Datum, Family, Gpu, Source
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.usage import checked, status

_SIZE = ("luts", "ffs", "ram_blocks", "dsps")


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
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
    designs : mapping of str to DesignSummary
        Designs of the FPGAs, by name of the board.
    """

    name: str
    macs: int
    weights: int
    rows: tuple[Row, ...]
    sources: Mapping[str, Source]
    fairness: tuple[str, ...]
    omitted: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    designs: Mapping[str, DesignSummary] = field(default_factory=dict)

    def card(self) -> Card:
        """Return what the prompt and a notebook show of the comparison."""
        rows = []
        for row in self.rows:
            about = " ".join(filter(None, (row.data_type, row.column)))
            size = ", ".join(str(row.figures[k]) for k in _SIZE if k in row.figures)
            shown = (row.figures.get(key) for key in ("fps", "latency"))
            speed = (f"{figure} {figure.kind}" if figure else "" for figure in shown)
            rows.append((row.title, about, f"{row.batch:,}", *speed, size, "; ".join(row.notes)))
        facts = [
            (
                row.device,
                f"{row.figures['fps']} {row.figures['fps'].kind}, latency"
                f" {row.figures['latency']}" + ("" if row.fits else ", does not fit"),
            )
            for row in self.rows
            if row.category == "FPGA"
        ]
        facts += [
            (
                row.device,
                f"{row.figures['fps']} {row.figures['fps'].kind}, {row.data_type}, batch"
                f" {row.batch:,}",
            )
            for row in self.rows
            if row.category == "GPU" and row.column == "gemm"
        ]
        return Card(
            f"Comparison of {self.name}: {self.macs:,} multiply-accumulates a frame",
            tuple(facts),
            ("device", "arithmetic", "batch", "frames/s", "latency", "takes", "notes"),
            tuple(rows),
        )

    @property
    def energy_known(self) -> bool:
        """Whether every row has an energy; otherwise a column of energies would not be fair."""
        return bool(self.rows) and all("energy" in row.figures for row in self.rows)

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
    link: str | None = None,
    placed: Mapping[str, PlacedDesign] | None = None,
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
    link : str, optional
        Link that carries the frames of all boards, see `xnorflow.devices.links`; by default each
        board's own.
    placed : mapping of str to PlacedDesign, optional
        Results of place and route by name of the board, for the very design of `shape`.

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
    placed = placed or {}
    chosen = None if link is None else links.link(link)
    rows = [fpga_row(b, designs[b], clocks.get(b), chosen, placed.get(b), sources) for b in fpgas]
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
        {devices.fpga(board).board: designs[board] for board in fpgas},
    )


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
                if batch == 1:
                    figures["single"] = found.fps
                if network.frame_bytes is not None:
                    figures["traffic"] = traffic(network.frame_bytes, found.fps)
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
    models = "; ".join(f"{name}: {status(f)}" for name, f in _families(rows).items())
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
        f"Resources: {models or 'none'}; the error of each model stands with its family. Board"
        " logic and host link are not included.",
        "GPU data is in its memory at the start and the end; pools and thresholds cost nothing; "
        "every layer reads its weights and features from memory, though a small network may stay "
        "in the cache.",
        f"GPU columns: peak = {COLUMN_TEXT['peak']}; gemm = {COLUMN_TEXT['gemm']}; end-to-end = "
        f"{COLUMN_TEXT['end-to-end']}. Efficiencies {settings.gemm_efficiency:g} (one data point, "
        f"CUTLASS on A100), {settings.end_to_end_efficiency:g} (one data point, TCBNN on Turing), "
        f"bandwidth {settings.bandwidth_efficiency:g} and launch {settings.launch_us:g} us "
        "(assumed); all can be set.",
        "Frames per second are those of the accelerator; beside them are the bytes a second that"
        " they need and the frames per second that the board's link carries, without host"
        " software.",
        "Single stream is one frame at a time, as MLPerf Tiny counts: the next one starts when the"
        " scores of the last are there, so it is 1 / latency.",
        "Energy is the published power of a board times the time of a frame: of a GPU the limit of"
        " its board, an upper bound; of an FPGA that of other designs on the same board. It is a"
        " column only if every device has one.",
    ]
    return tuple(notes)
