"""A compiled design: network, folding, hardware description, prediction; on disk and simulated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.design import folder
from xnorflow.design.clock import Clock
from xnorflow.design.summary import summary
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow.inputs import blaming
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.memories import load_bits
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.summarise import design_summary
from xnorflow.schedule import timing
from xnorflow.version import __version__
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_hw.top.verilog import Emitted, emit
from xnorflow_sim.interface import Interface, Tap

if TYPE_CHECKING:
    from xnorflow_sim.verilator.runner import Run, Simulator


@dataclass(frozen=True, eq=False)
class Design:
    """A network with its folding; made by `xnorflow.compile`, read back by `Design.read`.

    Parameters
    ----------
    net : IntegerNetwork
        What it computes.
    folds : tuple of Fold
        One per reduction.
    spec : AcceleratorSpec
        The hardware.
    board : str or None
        Name of the board it is meant for.
    clock : Clock
        For frames per second.
    timing : Timing
        Predicted interval and latency.
    limit : str
        What stands in the way of a faster folding on the board; empty where none was sought.
    """

    net: ir.IntegerNetwork
    folds: tuple[Fold, ...]
    spec: AcceleratorSpec
    board: str | None
    clock: Clock
    timing: timing.Timing
    limit: str = ""

    @classmethod
    def assemble(
        cls,
        net: ir.IntegerNetwork,
        folds: Sequence[Fold],
        *,
        in_lanes: int,
        out_lanes: int,
        board: str | None,
        clock: Clock,
    ) -> Design:
        """Describe the hardware of a folding and predict its timing; errors as `accelerator`'s."""
        device = None if board is None else fpga(board)
        spec = accelerator(net, folds, in_lanes=in_lanes, out_lanes=out_lanes, device=device)
        return cls(net, tuple(folds), spec, board, clock, timing.predict(spec))

    @property
    def ii(self) -> int:
        """Predicted initiation interval in cycles."""
        return self.timing.ii

    @property
    def latency(self) -> int:
        """Predicted latency in cycles, from a frame's first input beat to its last output beat."""
        return self.timing.latency

    @property
    def fps(self) -> float:
        """Predicted frames per second at the clock."""
        return self.clock.mhz * 1e6 / self.ii

    @cached_property
    def parts(self) -> tuple[Reduction, ...]:
        """The network's reductions."""
        return reductions(self.net)

    @cached_property
    def emitted(self) -> Emitted:
        """Verilog and ROM images."""
        header = (
            f"xnorflow {__version__}: {self.net.name}\n"
            f"network {self.net.digest}\n"
            f"predicted: initiation interval {self.ii} cycles, latency {self.latency} cycles"
        )
        return emit(self.spec, header=header)

    @property
    def verilog(self) -> str:
        """The generated Verilog."""
        return self.emitted.verilog

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the generated Verilog and ROM images: names this very hardware."""
        return text_digest(self.verilog, self.emitted.images)

    @property
    def files(self) -> dict[str, str]:
        """Texts of the Verilog and of the ROM images by file name."""
        return {f"{self.net.name}.v": self.verilog, **self.emitted.images}

    @property
    def interface(self) -> Interface:
        """The two AXI-Streams, for simulators and drivers."""
        s = self.spec
        return Interface(
            top=s.name,
            in_lanes=s.input.lanes,
            in_group=s.input.group,
            frame=s.input.frame,
            out_lanes=s.out_lanes,
            out_bits=s.score_bits,
            classes=s.classes,
            load=load_bits(s),
            sample_bytes=s.input.sample_bytes,
        )

    @property
    def taps(self) -> tuple[Tap, ...]:
        """Probe ports of a design built with taps: the input stage's output, then each stage's."""
        s = self.spec
        taps = [Tap("input", s.input.lanes, s.input.bits, s.input.beats)]
        for part, stage in zip(self.parts, s.stages, strict=True):
            height, width = stage.buffer.output
            beats = height * width * -(-stage.channels // stage.lanes_out)
            taps.append(Tap(part.name, stage.lanes_out, stage.out_bits, beats))
        return tuple(taps)

    @cached_property
    def shape(self) -> DesignSummary:
        """Plain summary for the estimators."""
        return design_summary(self.net.name, self.parts, self.spec, self.ii, self.latency)

    def summary(self) -> dict[str, Any]:
        """Give the content of ``design.json``."""
        return summary(self)

    def write(self, directory: str | Path) -> Path:
        """Write Verilog, ROM images, ``network.npz`` and ``design.json``, all or nothing.

        A folder that xnorflow wrote before is replaced, unless it holds folders other than
        ``build``; any other must not exist or be empty.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        BadInput
            If the folder holds something else, or cannot be written.
        """
        return folder.write(directory, self.files, self.net, self.summary())

    @classmethod
    def read(cls, directory: str | Path) -> Design:
        """Read a folder that `write` made.

        Raises
        ------
        BadInput
            If it is something else, or its Verilog is not what this version writes for it.
        """
        design, stored = cls._assembled(directory)
        with blaming(f"{directory} is not a design that xnorflow wrote"):
            stored.compare(design.files)
        return design

    @classmethod
    def describe(cls, directory: str | Path) -> Design:
        """Read network and folding of a folder that `write` made; its Verilog is not looked at.

        Raises
        ------
        BadInput
            If it is something else.
        """
        return cls._assembled(directory)[0]

    @classmethod
    def _assembled(cls, directory: str | Path) -> tuple[Design, folder.StoredDesign]:
        stored = folder.read(directory)
        with blaming(f"{directory} is not a design that xnorflow wrote"):
            design = cls.assemble(
                stored.net,
                stored.folds,
                in_lanes=stored.in_lanes,
                out_lanes=stored.out_lanes,
                board=stored.board,
                clock=stored.clock,
            )
        return replace(design, limit=stored.limit), stored

    def simulator(self, *, waves: bool = False, taps: bool = False) -> Simulator:
        """Build the Verilator model of the design, or take it from the cache."""
        from xnorflow_sim.verilator.runner import Simulator

        emitted, interface = self.emitted, self.interface
        if taps:
            emitted = emit(self.spec, header="with probe ports", taps=True)
            interface = replace(interface, taps=self.taps)
        return Simulator(emitted.verilog, interface, images=emitted.images, trace=waves)

    def simulate(
        self,
        x: NDArray[Any],
        *,
        jobs: int = 1,
        stalls: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        check: bool = True,
        expected: NDArray[Any] | None = None,
        progress: Callable[[int, int], object] | None = None,
        waves: str | Path | None = None,
    ) -> Run:
        """Run frames through the generated Verilog in Verilator.

        Parameters
        ----------
        x : uint8 array
            Frames, as for the network.
        jobs : int
            Processes to spread the frames over.
        stalls : pair of float
            Probability that the source, and the sink, hold back in a cycle.
        seed : int
            Of the stalls.
        check : bool
            Compare all scores with the golden model's.
        expected : int64 array, optional
            The golden model's scores, if they are there already.
        progress : callable, optional
            Is told of frames done and in all.
        waves : path, optional
            Write the waveforms of all frames there.

        Returns
        -------
        Run
            scores, labels, ii, latency and the cycle of every frame.

        Raises
        ------
        CheckFailed
            If a score differs; names layer, frame, pixel and channel of the first difference.
        """
        from xnorflow_sim import golden

        x = golden.frames(self.net, x)
        simulator = self.simulator(waves=waves is not None)
        run = simulator.run(
            x,
            stall_in=stalls[0],
            stall_out=stalls[1],
            seed=seed,
            jobs=jobs,
            progress=progress,
            waves=Path(waves) if waves else None,
        )
        if check:
            expected = golden.run_frames(self.net, x) if expected is None else expected
            wrong = (run.scores != expected).any(axis=1)
            if wrong.any():
                first = int(wrong.argmax())
                raise CheckFailed(
                    f"{int(wrong.sum())} of {len(x)} frames differ from the golden model; "
                    + self.locate(x[first : first + 1], first)
                )
        return run

    def locate(self, x: NDArray[Any], frame: int = 0) -> str:
        """Describe where the hardware first differs from the golden model on one frame.

        `x` is uint8 [1, height, width, channels], in the order of the stream.
        """
        from xnorflow_sim.locate import locate

        run = self.simulator(taps=True).run(x, taps=True)
        mismatch = locate(self.golden_taps(x), run.taps, self.taps)
        if mismatch is None:
            return f"frame {frame}: no difference in any layer when run alone"
        return (
            f"first in frame {frame}, layer {mismatch.layer!r}, row {mismatch.row}, column"
            f" {mismatch.column}, channel {mismatch.channel}: expected {mismatch.expected}, got"
            f" {mismatch.got}"
        )

    def golden_taps(self, x: NDArray[Any]) -> dict[str, ir.Ints]:
        """Give what each tap should show, in the codes of the hardware: [N, rows, cols, channels].

        The last stage's values are scores; `x` is in the order of the stream.
        """
        import numpy as np

        from xnorflow_sim import golden

        values = {layer.name: v for layer, v in golden.trace(self.net, x)}
        first = self.net.layers[0]
        taps: dict[str, ir.Ints] = {"input": x.astype(np.int64)}
        if isinstance(first, ir.InputTable):
            taps["input"] = (
                values[first.name].astype(np.int64) - first.alphabet.lo
            ) // first.alphabet.step
        for part in self.parts:
            layer = part.tails[-1][0] if part.tails else part.layer
            v = values[layer.name].astype(np.int64)
            if not isinstance(layer, ir.Scores):
                a = part.final.alphabet
                v = (v - a.lo) // a.step
            taps[part.name] = v
        return taps


def text_digest(verilog: str, images: Mapping[str, str]) -> str:
    """Compute the SHA-256 over Verilog and ROM images by file name, in hexadecimal."""
    h = hashlib.sha256(verilog.encode())
    for name, text in images.items():
        h.update(f"\n{name}\n{text}".encode())
    return h.hexdigest()
