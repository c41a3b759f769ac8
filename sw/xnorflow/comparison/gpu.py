"""Estimate a network on a GPU by a roofline model, with one matrix product per layer.

The time of a layer is that of its arithmetic at the peak rate or that of its memory traffic at full
bandwidth, whichever is longer; both are divided by an efficiency, and a kernel launch is added.
Because a peak rate alone says little, there are three estimates, called columns: what the peak
rates allow, what a tuned matrix product reaches, and what a whole network was seen to reach. In
favour of the GPU, pools and thresholds are assumed to cost nothing and all data to be in the GPU's
memory already.
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
    """Efficiencies of the GPU model, which a user may replace.

    Parameters
    ----------
    gemm_efficiency : float
        Share of the peak rate that a tuned matrix product reaches. Default 0.59: one data point,
        CUTLASS 1-bit 8192 x 8192 x 8192 on an A100, 2965 of 4992 TOPS; used for all types.
    end_to_end_efficiency : float
        Share of the 1-bit peak rate that a whole network reaches. Default 0.012: one data point,
        TCBNN's ResNet-18 at 5600 images/s on a Turing card.
    bandwidth_efficiency : float
        Share of the memory bandwidth that is reached. Default 0.8, which is assumed.
    launch_us : float
        Time of a kernel launch in microseconds. Default 5, which is assumed: public profiles quote
        3 to 10.
    """

    gemm_efficiency: float = 0.59
    end_to_end_efficiency: float = 0.012
    bandwidth_efficiency: float = 0.8
    launch_us: float = 5.0

    def __post_init__(self) -> None:
        """Check that the values are in range."""
        for name in ("gemm_efficiency", "end_to_end_efficiency", "bandwidth_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} has to be above 0 and at most 1, not {getattr(self, name)}")
        if self.launch_us < 0:
            raise BadInput(f"launch_us has to be at least 0, not {self.launch_us}")


@dataclass(frozen=True)
class LayerTime:
    """Time of a layer for a whole batch.

    Parameters
    ----------
    name : str
        Name of the layer.
    data_type : str
        Type of the layer's arithmetic.
    arithmetic, traffic, launch : float
        Seconds of the arithmetic, of the memory traffic and of the kernel launch.
    """

    name: str
    data_type: DataType
    arithmetic: float
    traffic: float
    launch: float

    @property
    def total(self) -> float:
        """Seconds of arithmetic or traffic, whichever is longer, and of the launch."""
        return max(self.arithmetic, self.traffic) + self.launch


@dataclass(frozen=True)
class GpuEstimate:
    """Estimate of a network on a GPU in one data type.

    Parameters
    ----------
    gpu : Gpu
        The GPU.
    data_type : str
        Type of the arithmetic.
    batch : int
        Frames per batch.
    column : str
        Kind of the estimate, see `COLUMN_TEXT`.
    layers : tuple of LayerTime
        Times of the layers with weights.
    how : str
        Method in words.
    """

    gpu: Gpu
    data_type: DataType
    batch: int
    column: Column
    layers: tuple[LayerTime, ...] = field(repr=False)
    how: str

    @property
    def seconds(self) -> float:
        """Time of a batch in seconds."""
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
        """Time until the whole batch is done, in microseconds."""
        return Figure(
            self.seconds * 1e6, "us", Origin.ESTIMATED, self.how, "not calibrated on this device"
        )

    @property
    def energy(self) -> Figure | None:
        """Upper bound of the energy per frame in millijoules: full board power all the time.

        None if the board's power has no source.
        """
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
    """Return whether the GPU's peak rate for a data type is known from a source."""
    return gpu.tops[data_type].usable


def runs_in(engine: EngineSummary, gpu: Gpu, data_type: DataType) -> DataType:
    """Return the type in which a layer runs if the network runs in `data_type`.

    In 1-bit arithmetic, every pair of an activation plane and a weight plane takes a binary
    product. A layer runs in INT8 if its inputs have 8 bits or if it has so many pairs that INT8 is
    faster.
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
    design : DesignSummary
        Summary of a design of the network; only the dimensions of its layers are used.
    gpu : Gpu
        GPU from `xnorflow.devices.tables`.
    data_type : str
        Type of the arithmetic: "fp16", "int8" or "b1".
    batch : int
        Frames per batch, at least 1.
    column : str
        Kind of the estimate: "peak", "gemm" or "end-to-end", see `COLUMN_TEXT`.
    settings : Settings, optional
        Efficiencies and launch time.

    Returns
    -------
    GpuEstimate or None
        None if there is no sourced figure to estimate from: for a type without a sourced peak rate
        on this GPU, and for "end-to-end" in any type but "b1".

    Raises
    ------
    BadInput
        If the batch is below 1 or the network has no layer with weights.
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
    """Compute the 1-bit rate of the CUDA cores in TOPS, with XOR and popcount on 32-bit words.

    Returns
    -------
    Figure or None
        None if the population counts per clock have no source.
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
