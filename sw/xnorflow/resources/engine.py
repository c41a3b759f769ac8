"""Plain summary of a compiled design: all that the estimators need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from xnorflow.devices.figure import Origin
from xnorflow.errors import BadInput
from xnorflow_hw.spec import GearboxSpec, RomSpec


@dataclass(frozen=True)
class EngineSummary:
    """One layer and the engine that computes it.

    Parameters
    ----------
    name : str
        The layer's name.
    kind : str
        The layer's `kind`, such as "conv" (a dense layer too) or "maxpool".
    positions, channels, reduction : int
        Output pixels per frame, output channels, and inputs that each output value takes: kernel
        area x input channels for a conv, kernel area for a pool.
    inputs : int
        Input features per frame.
    pe, simd : int
        Output channels and inputs at once; a pool has its lanes as `pe` and a `simd` of 1.
    at_once : int
        Output pixels at once, each with lanes, accumulators and a buffer bank of its own.
    cycles : int
        Beats per frame: its bound on the initiation interval.
    rom_depth, rom_width : int
        Weight ROM in words and bits; 0 where there are no weights.
    buffer_depth, buffer_width : int
        Feature buffer, or one of its banks, in words and bits.
    act_bits : int
        Bits of an input feature.
    weight_planes : int
        Bipolar planes of a weight.
    acc_bits : int
        Bits of the accumulator.
    threshold_rows, threshold_levels : int
        Rows of thresholds per PE, and thresholds per row; 0 where there are none.
    out_bits : int
        Bits of an output feature.
    gearbox : GearboxSpec, optional
        The width converter before the engine, if there is more to it than wires.
    queue_depth : int
        Results that may wait behind the engine.
    rom, threshold_rom : RomSpec, optional
        What weights and thresholds are stored in, where it is not left to the model.
    buffer_ram : str
        What the buffer is built of: "block", "distributed" or "auto", which leaves it to the model.
    frame, windows, kernel : tuple of int
        Rows and columns of the input, of the output, and of the kernel.
    repeat : int
        Passes over the same inputs, each for other output channels.
    padded : bool
        Whether windows reach beyond the input.
    form : str
        How the array sums a beat, see `xnorflow_hw.fabric.beat`; "" where there are no weights.
    tail_bits : int
        Bits that tails take which the array does not compute by itself.
    threshold_words : tuple of int
        Bits of a word of each of the thresholds' memories.
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

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in ("positions", "channels", "reduction", "inputs", "pe", "simd", "cycles"):
            if getattr(self, field) < 1:
                raise BadInput(
                    f"engine {self.name!r}: {field} is {getattr(self, field)}, "
                    "it has to be at least 1"
                )

    @property
    def macs(self) -> int:
        """Multiply-accumulates per frame; a pool has none."""
        return self.positions * self.channels * self.reduction if self.rom_depth else 0

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.channels * self.reduction if self.rom_depth else 0

    @property
    def outputs(self) -> int:
        """Output features per frame."""
        return self.positions * self.channels


@dataclass(frozen=True)
class DesignSummary:
    """A whole design.

    Parameters
    ----------
    name : str
        The network's name.
    engines : tuple of EngineShape
        In the order of the network.
    ii, latency : int
        Initiation interval, and latency of a frame through the empty pipeline, in cycles.
    kind : Kind
        How `ii` and `latency` came about: estimated by the cycle model, or simulated.
    how : str
        The same in words.
    accuracy : str
        What is known of the network's accuracy, for the fairness notes.
    input_bits, table_bits : int
        Bits of an input beat's codes, and how many of them come from tables.
    output : GearboxSpec, optional
        The width converter behind the last engine, if there is more to it than wires.
    score_bits : int
        Bits of an output beat.
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

    def __post_init__(self) -> None:
        """Check the ranges."""
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
