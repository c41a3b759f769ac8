"""Plain summary of a compiled design: all that the estimators need to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from xnorflow.devices.figure import Origin
from xnorflow.errors import BadInput
from xnorflow_hw.spec import GearboxSpec, RomSpec
from xnorflow_hw.spec.kinds import Multiplier


@dataclass(frozen=True)
class Products:
    """Summary of what multiplies in an array of multipliers.

    Parameters
    ----------
    multiplier : Multiplier
        What a product is built of.
    weight_bits : int
        Bits of a weight.
    """

    multiplier: Multiplier
    weight_bits: int


@dataclass(frozen=True)
class ComputedCodes:
    """Summary of a tail that computes codes by a product and a sum.

    Parameters
    ----------
    rows, word_bits : int
        Words of the memory of constants, and bits per word.
    late_depth : int
        Words of each lane's memory of late codes, of one bit each; 0 if there is none.
    lane_luts, lane_ffs : float
        LUTs and flip-flops of a lane, as counted from the widths of its sums.
    rom, late_rom : RomSpec, optional
        Storage of the memories; without it the model chooses.
    dsp_widths : (int, int), optional
        Bits of the operands of a lane's product, if it is in DSP blocks.
    """

    rows: int
    word_bits: int
    late_depth: int
    lane_luts: float
    lane_ffs: float
    rom: RomSpec | None = None
    late_rom: RomSpec | None = None
    dsp_widths: tuple[int, int] | None = None


@dataclass(frozen=True)
class ScoreSummary:
    """Summary of the unit that computes float32 scores in integers.

    Parameters
    ----------
    luts, ffs : float
        LUTs and flip-flops, as counted from the widths of its sums.
    memories : tuple of (int, int, RomSpec)
        Words of each memory, bits per word, and storage.
    dsp_widths : tuple of (int, int)
        Bits of the operands of each product that is in DSP blocks.
    """

    luts: float
    ffs: float
    memories: tuple[tuple[int, int, RomSpec], ...]
    dsp_widths: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class JoinSummary:
    """Summary of a joined array and of what takes the beats of its ports.

    Parameters
    ----------
    front_luts, front_ffs, array_luts, array_ffs : float
        LUTs and flip-flops of both, as counted from their structure.
    memories : tuple of (int, int)
        Words and bits per word of each memory that holds a map of one pixel.
    roms : tuple of (int, int)
        Words and bits per word of each memory of constants.
    """

    front_luts: float
    front_ffs: float
    array_luts: float
    array_ffs: float
    memories: tuple[tuple[int, int], ...] = ()
    roms: tuple[tuple[int, int], ...] = ()

    def widened(self, share: float) -> JoinSummary:
        """Return the summary with `share` times as many lanes, approximately."""
        return JoinSummary(
            self.front_luts * share,
            self.front_ffs * share,
            self.array_luts * share,
            self.array_ffs * share,
            _widened(self.memories, share),
            _widened(self.roms, share),
        )


def _widened(memories: tuple[tuple[int, int], ...], share: float) -> tuple[tuple[int, int], ...]:
    return tuple((ceil(depth / share), ceil(width * share)) for depth, width in memories)


@dataclass(frozen=True)
class StreamSummary:
    """Summary of a stream into an engine.

    Parameters
    ----------
    gearbox : GearboxSpec or None
        Gearbox on its way, unless it is only wires.
    queue : int
        Beats that its queue can hold, 0 without one.
    width : int
        Bits of a beat behind the gearbox.
    ram : str
        Storage of the queue: "block", "distributed", or "auto" if the model is to choose.
    forked : bool
        Whether other streams have the same source.
    """

    gearbox: GearboxSpec | None
    queue: int
    width: int
    ram: str = "auto"
    forked: bool = False

    def widened(self, share: float) -> StreamSummary:
        """Return the stream with `share` times as many lanes and no gearbox; `ram` is open."""
        (queue, width), *_ = _widened(((self.queue, self.width),), share)
        return StreamSummary(None, queue, width, forked=self.forked)


@dataclass(frozen=True)
class EngineSummary:
    """Summary of a layer and the engine that computes it.

    Parameters
    ----------
    name : str
        Name of the layer.
    kind : str
        Kind of the layer, such as "conv" (also for a dense layer) or "maxpool".
    positions : int
        Output pixels per frame.
    channels : int
        Output channels.
    reduction : int
        Input values per output value: kernel area x input channels of a group for a convolution,
        kernel area for a pool, number of maps for a join.
    inputs : int
        Input values per frame.
    pe, simd : int
        Output channels and inputs at once; a pool has its lanes as `pe` and a `simd` of 1.
    at_once : int
        Output pixels at once, each with its own lanes, accumulators and buffer bank.
    cycles : int
        Beats per frame: the engine's lower bound of the initiation interval.
    rom_depth, rom_width : int
        Words of the weight ROM and bits per word; 0 if there are no weights.
    buffer_depth, buffer_width : int
        Words of the feature buffer, or of one of its banks, and bits per word.
    act_bits : int
        Bits of an input value.
    weight_planes : int
        Planes of a weight, its mask among them.
    acc_bits : int
        Bits of an accumulator.
    threshold_rows, threshold_levels : int
        Rows of thresholds per PE, and thresholds per row; 0 if there are none.
    out_bits : int
        Bits of an output value.
    gearbox : GearboxSpec, optional
        Gearbox before the engine, unless it is only wires.
    queue_depth : int
        Places of the queue behind the engine.
    rom, threshold_rom : RomSpec, optional
        Storage of weights and of thresholds; without it the model chooses.
    buffer_ram : str
        Storage of the buffer: "block", "distributed", or "auto" if the model is to choose.
    frame, windows, kernel : tuple of int
        Rows and columns of the input, of the output, and of the kernel.
    repeat : int
        Passes over the same inputs, each for other output channels.
    padded : bool
        Whether windows reach beyond the input.
    form : str
        Form in which the array sums a beat, see `xnorflow_hw.fabric.beat`; "" without weights.
    tail_bits : int
        Bits of logic in those tails that the array does not compute itself.
    threshold_words : tuple of int
        Bits per word of each memory of the thresholds.
    blocks : int
        Groups of a grouped convolution at once: equal parts of the inputs and output channels.
    computed : ComputedCodes, optional
        Tail that computes codes, if there is one.
    join : JoinSummary, optional
        The array and its front, of a layer that joins maps or makes one of another size.
    streams : tuple of StreamSummary
        The streams into the engine, unless there is one without queue and fork. `gearbox` is that
        of the first.
    products : Products, optional
        What multiplies, if the array does; then it has neither planes nor a form.
    masked : bool
        Whether the last plane of a weight is a mask.
    """

    name: str
    kind: str
    positions: int
    channels: int
    reduction: int
    inputs: int
    pe: int
    simd: int
    cycles: int
    rom_depth: int
    rom_width: int
    buffer_depth: int
    buffer_width: int
    act_bits: int
    weight_planes: int = 1
    acc_bits: int = 0
    threshold_rows: int = 0
    threshold_levels: int = 0
    out_bits: int = 1
    gearbox: GearboxSpec | None = None
    at_once: int = 1
    queue_depth: int = 2
    rom: RomSpec | None = None
    threshold_rom: RomSpec | None = None
    buffer_ram: str = "auto"
    frame: tuple[int, int] = (1, 1)
    windows: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    repeat: int = 1
    padded: bool = False
    form: str = ""
    tail_bits: int = 0
    threshold_words: tuple[int, ...] = ()
    blocks: int = 1
    computed: ComputedCodes | None = None
    join: JoinSummary | None = None
    streams: tuple[StreamSummary, ...] = ()
    products: Products | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        """Check that sizes are positive."""
        for field in ("positions", "channels", "reduction", "inputs", "pe", "simd", "cycles"):
            if getattr(self, field) < 1:
                raise BadInput(
                    f"engine {self.name!r}: {field} is {getattr(self, field)}, "
                    "it has to be at least 1"
                )

    @property
    def block_lanes(self) -> int:
        """Inputs at once of an output channel."""
        return self.simd // self.blocks

    @property
    def macs(self) -> int:
        """Multiply-accumulates per frame; 0 for a pool."""
        return self.positions * self.channels * self.reduction if self.rom_depth else 0

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.channels * self.reduction if self.rom_depth else 0

    @property
    def outputs(self) -> int:
        """Output values per frame."""
        return self.positions * self.channels


@dataclass(frozen=True)
class DesignSummary:
    """Summary of a whole design.

    Parameters
    ----------
    name : str
        Name of the network.
    engines : tuple of EngineSummary
        Engines in the order of the network.
    ii, latency : int
        Initiation interval, and latency of a frame through the empty pipeline, in cycles.
    kind : Origin
        How `ii` and `latency` came about: estimated by the cycle model, or simulated.
    how : str
        The same in words.
    accuracy : str
        Known accuracy of the network in words, for the notes on fairness.
    input_bits, table_bits : int
        Bits of the codes in an input beat, and how many of them come from tables.
    output : GearboxSpec, optional
        Gearbox behind the last engine, unless it is only wires.
    score_bits : int
        Bits of an output beat.
    scores : ScoreSummary, optional
        Unit behind the last engine that computes scores.
    """

    name: str
    engines: tuple[EngineSummary, ...]
    ii: int
    latency: int
    kind: Origin = Origin.ESTIMATED
    how: str = "exact cycle model of the streaming pipeline"
    accuracy: str = ""
    input_bits: int = 0
    table_bits: int = 0
    output: GearboxSpec | None = None
    score_bits: int = 0
    scores: ScoreSummary | None = None

    def __post_init__(self) -> None:
        """Check that there are engines and that times are positive."""
        if not self.engines or self.ii < 1 or self.latency < 1:
            raise BadInput(
                f"design {self.name!r} needs engines, and an interval and a latency of "
                f"at least 1 cycle, not {self.ii} and {self.latency}"
            )

    @property
    def macs(self) -> int:
        """Multiply-accumulates per frame."""
        return sum(e.macs for e in self.engines)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(e.weights for e in self.engines)
