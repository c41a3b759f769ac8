"""Roofline of a network on a GPU, one matrix product per layer.

Time of a layer is the longer of its arithmetic at the peak rate and its memory traffic at the full
bandwidth, each divided by an efficiency, plus a kernel launch. Three columns are given, because a
peak rate alone says little: what the peak rates allow, what a tuned matrix product reaches, and
what a whole network was seen to reach. Pools and thresholds are taken to be fused for free and all
data to be in the GPU's memory already, both in favour of the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Literal, get_args

from xnorflow.devices.figure import Figure, Origin
from xnorflow.devices.tables import Gpu
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary, EngineSummary

DataType = Literal["fp16", "int8", "b1"]
Column = Literal["peak", "gemm", "end-to-end"]
DATA_TYPES: tuple[DataType, ...] = get_args(DataType)
COLUMNS: tuple[Column, ...] = get_args(Column)
COLUMN_TEXT: dict[Column, str] = {
    "peak": "peak rates and bandwidth alone, nothing lost anywhere",
    "gemm": "efficiency of a tuned matrix product, operands padded to the tensor core's tile, "
    "and a kernel launch per layer",
    "end-to-end": "efficiency that a whole binary network was seen to reach; 1-bit only",
}
BITS: dict[DataType, int] = {"fp16": 16, "int8": 8, "b1": 1}
TILE_K: dict[DataType, int] = {"fp16": 16, "int8": 32, "b1": 128}
TILE_M, TILE_N = 16, 8


@dataclass(frozen=True)
class Settings:
    """What the user can put in place of the defaults.

    Parameters
    ----------
    gemm_efficiency : float
        Share of the peak rate that a tuned matrix product reaches. Default 0.59: one data point,
        CUTLASS 1-bit 8192 x 8192 x 8192 on an A100, 2965 of 4992 TOPS; taken over to other types.
    end_to_end_efficiency : float
        Share of the 1-bit peak rate that a whole network reaches. Default 0.012: one data point,
        TCBNN's ResNet-18 at 5600 images/s on a Turing card.
    bandwidth_efficiency : float
        Share of the memory bandwidth that is reached. Default 0.8: assumed.
    launch_us : float
        Time of a kernel launch in microseconds. Default 5: assumed, public profiles quote 3 to 10.
    """

    gemm_efficiency: float = 0.59
    end_to_end_efficiency: float = 0.012
    bandwidth_efficiency: float = 0.8
    launch_us: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("gemm_efficiency", "end_to_end_efficiency", "bandwidth_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} has to be above 0 and at most 1, not {getattr(self, name)}")
        if self.launch_us < 0:
            raise BadInput(f"launch_us has to be at least 0, not {self.launch_us}")


@dataclass(frozen=True)
class LayerTime:
    """Time of a layer for a whole batch, in seconds, and the type that its arithmetic runs in."""

    name: str
    data_type: DataType
    arithmetic: float
    traffic: float
    launch: float

    @property
    def total(self) -> float:
        """The longer of arithmetic and traffic, and the launch."""
        return max(self.arithmetic, self.traffic) + self.launch


@dataclass(frozen=True)
class GpuEstimate:
    """A network on a GPU in one data type, batch and column."""

    gpu: Gpu
    data_type: DataType
    batch: int
    column: Column
    layers: tuple[LayerTime, ...] = field(repr=False)
    how: str

    @property
    def seconds(self) -> float:
        """Time of a batch."""
        return sum(layer.total for layer in self.layers)

    @property
    def fps(self) -> Figure:
        """Frames per second."""
        return Figure(
            self.batch / self.seconds,
            "frames/s",
            Origin.ESTIMATED,
            self.how,
            "not calibrated on this device",
        )

    @property
    def latency(self) -> Figure:
        """Time until the batch is done, in microseconds."""
        return Figure(
            self.seconds * 1e6, "us", Origin.ESTIMATED, self.how, "not calibrated on this device"
        )

    @property
    def energy(self) -> Figure | None:
        """Upper bound of the energy of a frame in millijoule: board power for the whole time."""
        if not self.gpu.power_w.usable:
            return None
        watts = self.gpu.power_w.use()
        return Figure(
            watts * self.seconds / self.batch * 1e3,
            "mJ/frame",
            Origin.ESTIMATED,
            f"published board power {watts:g} W x time",
            "upper bound",
        )


def supports(gpu: Gpu, data_type: DataType) -> bool:
    """Whether a sourced peak rate for the type is known."""
    return gpu.tops[data_type].usable


def runs_in(engine: EngineSummary, gpu: Gpu, data_type: DataType) -> DataType:
    """Give the type in which a layer runs when the network runs in `data_type`.

    In 1-bit, every pair of an activation plane and a weight plane is one binary product. A layer
    with inputs of 8 bits, or so many pairs that INT8 is faster, counts as INT8.
    """
    if data_type != "b1":
        return data_type
    pairs = engine.act_bits * engine.weight_planes
    ratio = gpu.tops["b1"].use() / gpu.tops["int8"].use()
    return "int8" if engine.act_bits >= 8 or pairs >= ratio else "b1"


def _layer(
    engine: EngineSummary,
    gpu: Gpu,
    data_type: DataType,
    batch: int,
    column: Column,
    settings: Settings,
) -> LayerTime:
    used = runs_in(engine, gpu, data_type)
    rows, cols, depth = engine.positions * batch, engine.channels, engine.reduction
    if column != "peak":
        tile_k = gpu.b1_k if used == "b1" else TILE_K[used]
        rows = ceil(rows / TILE_M) * TILE_M
        cols = ceil(cols / TILE_N) * TILE_N
        depth = ceil(depth / tile_k) * tile_k
    pairs = engine.act_bits * engine.weight_planes if used == "b1" else 1
    rate = gpu.tops[used].use() * 1e12
    bandwidth = gpu.bandwidth_gbs.use() * 1e9
    launch = 0.0
    if column != "peak":
        rate *= settings.gemm_efficiency if column == "gemm" else settings.end_to_end_efficiency
        bandwidth *= settings.bandwidth_efficiency
        launch = settings.launch_us * 1e-6
    in_bits = engine.act_bits if used == "b1" else BITS[used]
    weight_bits = engine.weight_planes if used == "b1" else BITS[used]
    out_bits = engine.out_bits if data_type == "b1" else BITS[data_type]
    bits = engine.weights * weight_bits + batch * (
        engine.inputs * in_bits + engine.outputs * out_bits
    )
    return LayerTime(
        engine.name, used, 2 * rows * cols * depth * pairs / rate, bits / 8 / bandwidth, launch
    )


def estimate(
    design: DesignSummary,
    gpu: Gpu,
    data_type: DataType,
    batch: int,
    column: Column,
    settings: Settings | None = None,
) -> GpuEstimate | None:
    """Estimate a network on a GPU.

    Parameters
    ----------
    design : DesignShape
        Only the network's dimensions are used.
    gpu : Gpu
        From `xnorflow.devices.tables`.
    data_type : str
        "fp16", "int8" or "b1".
    batch : int
        Frames at once, at least 1.
    column : str
        "peak", "gemm" or "end-to-end", see `COLUMN_TEXT`.
    settings : Settings, optional
        Efficiencies and launch time.

    Returns
    -------
    GpuEstimate or None
        None where no sourced figure exists: 1-bit on a GPU without a sourced 1-bit rate, and
        end-to-end in other types than 1-bit.
    """
    if batch < 1:
        raise BadInput(f"the batch has to be at least 1, not {batch}")
    if design.macs == 0:
        raise BadInput(f"design {design.name!r} has no layer with weights to estimate")
    if not supports(gpu, data_type) or (column == "end-to-end" and data_type != "b1"):
        return None
    settings = settings or Settings()
    layers = tuple(
        _layer(e, gpu, data_type, batch, column, settings) for e in design.engines if e.rom_depth
    )
    return GpuEstimate(gpu, data_type, batch, column, layers, f"roofline: {COLUMN_TEXT[column]}")


def popcount_bound(gpu: Gpu) -> Figure | None:
    """Give the 1-bit rate of the CUDA cores in TOPS: XOR and population count on 32-bit words.

    None where the population counts per clock have no source.
    """
    if not (gpu.popc_per_clock_sm.usable and gpu.sms.usable and gpu.clock_mhz.usable):
        return None
    rate = gpu.sms.use() * gpu.popc_per_clock_sm.use() * 32 * 2 * gpu.clock_mhz.use() * 1e6
    return Figure(
        rate / 1e12,
        "TOPS",
        Origin.ESTIMATED,
        "derived: multiprocessors x population counts per clock x 32 bits x 2 x clock",
    )
