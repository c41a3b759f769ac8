"""The compiled design: network, folding, hardware and predicted timing; files and simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import arguments, ir
from xnorflow.cards import Card, Shown
from xnorflow.design import described, folder
from xnorflow.design.clock import Clock
from xnorflow.design.summary import summary
from xnorflow.devices.board_names import canonical, portable
from xnorflow.devices.links import FrameBytes, HostLink
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.inputs import blaming
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import Part, reductions
from xnorflow.plan.mapping import sent
from xnorflow.plan.memories import load_bits
from xnorflow.plan.products import multiplier_of
from xnorflow.plan.reductions import Fold
from xnorflow.progress import Count, counted
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.summarise import design_summary
from xnorflow.schedule import timing
from xnorflow.version import __version__
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_hw.top.verilog import Emitted, emit
from xnorflow_sim.interface import Interface, Tap

if TYPE_CHECKING:
    from xnorflow_sim.simulation import Run
    from xnorflow_sim.verilator.runner import Simulator


@dataclass(frozen=True, eq=False, repr=False)
class Design(Shown):
    """A compiled design: a network, its folding and the hardware that they make.

    `xnorflow.compile` returns one; `Design.read` reads one back from its folder.

    Parameters
    ----------
    net : IntegerNetwork
        Network that the design computes.
    folds : tuple of Fold
        Folding of each part of the network.
    spec : AcceleratorSpec
        Complete description of the hardware.
    board : str or None
        Board that the design is meant for, if any: its name, the absolute path of its file, or the
        class of its platform.
    clock : Clock
        Clock for which frames per second are computed.
    timing : Timing
        Predicted initiation interval and latency.
    limit : str
        Reason why no faster folding fits the board; empty if none was sought.
    link : HostLink, optional
        Link to the host that the user chose, if any; its rate limits `headline_fps`.

    Examples
    --------
    >>> design = xnorflow.compile(net, board="ulx3s-85f")  # doctest: +SKIP
    >>> design.write("build/model")  # doctest: +SKIP
    >>> run = design.simulate(x)  # doctest: +SKIP
    >>> run.labels, run.ii, run.latency  # doctest: +SKIP
    """

    net: ir.IntegerNetwork
    folds: tuple[Fold, ...]
    spec: AcceleratorSpec
    board: str | None
    clock: Clock
    timing: timing.Timing
    limit: str = ""
    link: HostLink | None = None

    def card(self) -> Card:
        """Return what the prompt and a notebook show of the design."""
        where = "" if self.board is None else f" for {self.board_name}"
        facts = [
            ("speed", described.speed(self)),
            ("link", described.traffic(self)),
            *(("size", line) for line in described.size(self)[:1]),
            ("limit", described.limit(self)),
        ]
        rows = (
            (part.name, str(fold.pe), str(fold.simd), str(fold.pixels), f"{part.cycles(fold):,}")
            for part, fold in zip(self.parts, self.folds, strict=True)
        )
        return Card(
            f"Design {self.net.name}{where}: {len(self.parts)} engines",
            tuple(facts),
            ("engine", "PE", "SIMD", "pixels", "cycles"),
            tuple(rows),
        )

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
        """Build the design of a network at a given folding, and predict its timing.

        Parameters
        ----------
        net : IntegerNetwork
            Network to build.
        folds : sequence of Fold
            Folding of each reduction of the network.
        in_lanes, out_lanes : int
            Samples per input beat and scores per output beat.
        board : str or None
            Board to build for, as `xnorflow.devices.tables.fpga` takes it; without one the hardware
            suits any FPGA.
        clock : Clock
            Clock for which frames per second are computed.

        Raises
        ------
        BadInput
            If the board is unknown or the folding does not fit the network.
        UnsupportedModel
            If there is no hardware for a layer.
        """
        device = None if board is None else fpga(board)
        spec = accelerator(net, folds, in_lanes=in_lanes, out_lanes=out_lanes, device=device)
        named = None if board is None else canonical(board)
        return cls(net, tuple(folds), spec, named, clock, timing.predict(spec))

    @property
    def board_name(self) -> str | None:
        """Name of the board, if any."""
        return None if self.board is None else fpga(self.board).board

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
        """Predicted frames per second of the accelerator at the clock."""
        return self.clock.mhz * 1e6 / self.ii

    @property
    def frame_bytes(self) -> FrameBytes:
        """Bytes of a frame and of its scores on the way between host and accelerator."""
        ports = self.interface
        return FrameBytes(ports.in_beats * ports.in_bytes, ports.out_beats * ports.out_bytes)

    @property
    def headline_fps(self) -> float:
        """Frames per second of accelerator and chosen link together: the smaller of the two."""
        if self.link is None:
            return self.fps
        return min(self.fps, self.link.fps(self.frame_bytes))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The network's parts that are stages: reductions, and joints where it branches."""
        return reductions(self.net)

    @cached_property
    def emitted(self) -> Emitted:
        """The generated Verilog and the ROM images."""
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
        """SHA-256 of the generated Verilog and ROM images, in hexadecimal."""
        return text_digest(self.verilog, self.emitted.images)

    @property
    def files(self) -> dict[str, str]:
        """Texts of the Verilog and of the ROM images, by file name."""
        return {f"{self.net.name}.v": self.verilog, **self.emitted.images}

    @property
    def interface(self) -> Interface:
        """Layout of the two AXI-Streams, for simulators and drivers."""
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
            edges=s.edges,
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
        """Plain summary of the design, for the estimators."""
        found = design_summary(self.net.name, self.parts, self.spec, self.ii, self.latency)
        return replace(found, frame_bytes=self.frame_bytes)

    def summary(self) -> dict[str, Any]:
        """Return the content of ``design.json``, a dictionary of plain values."""
        return summary(self)

    def write(self, directory: str | Path) -> Path:
        """Write the design to a folder: Verilog, ROM images, ``network.npz`` and ``design.json``.

        The folder is written completely or not at all.

        Parameters
        ----------
        directory : path
            Folder to write. It is created if it does not exist. If xnorflow wrote it before and it
            holds no folders other than ``build``, it is replaced; otherwise it has to be empty.

        Returns
        -------
        Path
            Absolute path of the folder.

        Raises
        ------
        BadInput
            If the folder holds other files or cannot be written.
        """
        file = None if self.board is None else portable(self.board)
        described = {} if file is None else {folder.BOARD: file.text}
        return folder.write(directory, self.files | described, self.net, self.summary())

    @classmethod
    def read(cls, directory: str | Path) -> Design:
        """Read a design from a folder that `write` made.

        Parameters
        ----------
        directory : path
            Folder of the design.

        Returns
        -------
        Design
            The design, with the same hardware as in the folder.

        Raises
        ------
        BadInput
            If the folder is not one that `write` made, or if this version of xnorflow would write
            other Verilog or ROM images than the folder holds.
        """
        design, stored = cls._assembled(directory)
        with blaming(f"{directory} is not a design that xnorflow wrote"):
            stored.compare(design.files)
        return design

    @classmethod
    def describe(cls, directory: str | Path) -> Design:
        """Read a design from a folder without comparing the folder's Verilog.

        Parameters
        ----------
        directory : path
            Folder of the design.

        Returns
        -------
        Design
            Design of the folder's network and folding, as this version of xnorflow builds it.

        Raises
        ------
        BadInput
            If the folder is not one that `write` made.
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
        return replace(design, limit=stored.limit, link=stored.link), stored

    def simulator(
        self, *, waves: bool = False, taps: bool = False, frames: int | None = None
    ) -> Simulator:
        """Build the Verilator model of the design, or take it from the cache.

        Parameters
        ----------
        waves : bool
            Whether the model can write waveforms.
        taps : bool
            Whether it has probe ports that show the output of every stage.
        frames : int, optional
            Number of frames that it will be run with. The model of a short run is compiled at once
            rather than well.
        """
        from xnorflow_sim.verilator.runner import Simulator

        emitted, interface = self.emitted, self.interface
        if taps:
            emitted = emit(self.spec, header="with probe ports", taps=True)
            interface = replace(interface, taps=self.taps)
        return Simulator(
            emitted.verilog,
            interface,
            images=emitted.images,
            trace=waves,
            quick=self.short(frames),
        )

    def short(self, frames: int | None) -> bool:
        """Return whether so many frames are simulated sooner if the model is compiled at once.

        Parameters
        ----------
        frames : int or None
            Number of frames; None is taken for many.
        """
        from xnorflow_sim.verilator.runner import QUICK_CYCLES

        return frames is not None and frames * self.ii + self.latency <= QUICK_CYCLES

    def simulate(
        self,
        x: NDArray[Any],
        *,
        jobs: int = 1,
        stalls: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        check: bool = True,
        expected: NDArray[Any] | None = None,
        progress: bool | Count | None = None,
        waves: str | Path | None = None,
        edges: int | NDArray[Any] | None = None,
    ) -> Run:
        """Simulate the generated Verilog cycle by cycle in Verilator.

        Parameters
        ----------
        x : array [frames, ...]
            Frames, in the types and shapes that the network accepts.
        jobs : int
            Processes that share the frames.
        stalls : pair of float
            Probability, 0 to 1, that the source and that the sink is not ready in a cycle.
        seed : int
            Seed of the random stalls.
        check : bool
            Whether to compare all scores with those of the golden model.
        expected : int64 array [frames, classes], optional
            Scores of the golden model, in its own order; computed if they are not given.
        progress : bool or callable, optional
            True shows a progress bar; a callable receives the number of frames done and the number
            of all frames.
        waves : path, optional
            File for the waveforms of all frames.
        edges : int or int array [frames], optional
            Number of enabled edges of each layer that has several, for all frames or for each; all
            by default.

        Returns
        -------
        Run
            Scores, int64 [frames, classes], labels, initiation interval and latency in cycles, and
            the cycle in which every frame was done. Of several outputs, the scores and labels are
            those of the first; all are in `Run.outputs`, in the file's own shapes.

        Raises
        ------
        BadInput
            If the frames, the expected scores or the edges do not fit the network.
        CheckFailed
            If a score differs; the message names frame, layer, row, column and channel of the first
            difference.
        ToolMissing
            If Verilator or a compiler is missing.
        """
        from xnorflow_sim import golden

        x = golden.frames(self.net, arguments.samples(x, "simulate"))
        own = (len(x), self.net.score_count)
        if expected is not None and np.shape(expected) != own:
            raise BadInput(
                f"the expected scores have shape {list(np.shape(expected))}, but the golden model's"
                f" of these frames have {list(own)}: leave them out, and they are computed"
            )
        counts = golden.enabled_edges(self.net, len(x), edges)
        simulator = self.simulator(waves=waves is not None, frames=len(x))
        with counted(progress, f"RTL of {self.net.name}") as tick:
            run = simulator.run(
                x,
                edges=None if edges is None else counts,
                stall_in=stalls[0],
                stall_out=stalls[1],
                seed=seed,
                jobs=jobs,
                progress=tick,
                waves=Path(waves) if waves else None,
            )
        if check:
            expected = golden.run_frames(self.net, x, edges=edges) if expected is None else expected
            wrong = (run.scores != expected).any(axis=1)
            if wrong.any():
                first = int(wrong.argmax())
                raise CheckFailed(
                    f"{int(wrong.sum())} of {len(x)} frames differ from the golden model; "
                    + self.locate(x[first : first + 1], first, edges=int(counts[first]))
                )
        outputs, labels = self.net.in_file_shape(run.scores), self.net.labels_of(run.scores)
        scores = outputs[self.net.named[0].name]
        return replace(run, scores=scores, outputs=outputs, output_labels=labels)

    def locate(self, x: NDArray[Any], frame: int = 0, edges: int | None = None) -> str:
        """Describe in words where the hardware first differs from the golden model on a frame.

        Parameters
        ----------
        x : array [1, height, width, channels]
            Samples of the frame, in the order of the stream.
        frame : int
            Number of the frame, for the description.
        edges : int, optional
            Number of enabled edges, all by default.
        """
        from xnorflow_sim.locate import locate

        several = self.spec.edges > 1 and edges is not None
        counts = np.full(len(x), edges, np.int64) if several else None
        run = self.simulator(taps=True, frames=len(x)).run(x, taps=True, edges=counts)
        mismatch = locate(self.golden_taps(x, edges), run.taps, self.taps)
        if mismatch is None:
            return f"frame {frame}: no difference in any layer when run alone"
        return (
            f"first in frame {frame}, layer {mismatch.layer!r}, row {mismatch.row}, column"
            f" {mismatch.column}, channel {mismatch.channel}: expected {mismatch.expected}, got"
            f" {mismatch.got}"
        )

    def golden_taps(self, x: NDArray[Any], edges: int | None = None) -> dict[str, ir.Ints]:
        """Compute the values that each tap should show, in the codes of the hardware.

        Parameters
        ----------
        x : array [frames, height, width, channels]
            Samples, in the order of the stream.
        edges : int, optional
            Number of enabled edges, all by default.

        Returns
        -------
        dict of str to int64 array [frames, rows, columns, channels]
            Codes by name of the tap; those of the last stage are scores.
        """
        from xnorflow_sim import golden

        values = {layer.name: v for layer, v in golden.trace(self.net, x, edges)}
        values[ir.FRAME] = self.net.samples.alphabet.values(x)
        readers = self.net.readers[0]
        first = self.net.layers[readers[0]]
        taps: dict[str, ir.Ints] = {"input": x.astype(np.int64)}
        if isinstance(first, ir.InputTable) and self.net.readers[0] == (0,):
            taps["input"] = _codes(values[first.name], first.alphabet)
        for part in self.parts:
            taps[part.name] = self._sent(part, values)
        return taps

    def _sent(self, part: Part, values: Mapping[str, NDArray[Any]]) -> ir.Ints:
        """Return what the stage of a part sends, given the values of all layers."""
        layer = part.tails[-1][0] if part.tails else part.layer
        last = part is self.parts[-1]
        if isinstance(part, Joint) and part.label:
            return _codes(self._prepared(part, values), part.final.alphabet)
        if isinstance(layer, ir.Scores) and layer.steps:
            # The stage sends what the unit of scores starts from.
            v = self._read(layer.name, values)
            if not last:
                return _codes(v, part.tails[-1][1].alphabet)
            multiplier = multiplier_of(self.spec.stages[-1].array)
            meaning, _ = sent(part, self.folds[-1], multiplier)
            return (v * meaning.denominator - meaning.offset[0]) // meaning.numerator
        if isinstance(layer, ir.AllScores) and self.spec.scores is not None:
            heads = [
                self._read(head.name, values) if head.steps else values[head.name]
                for head in self.net.score_layers
            ]
            joined = np.concatenate([h.reshape(len(h), 1, 1, -1) for h in heads], axis=3)
            return _codes(joined, part.out.alphabet)
        v = values[layer.name].astype(np.int64)
        scores = last and isinstance(layer, ir.Scores | ir.AllScores)
        return v if scores else _codes(v, part.final.alphabet)

    def _read(self, name: str, values: Mapping[str, NDArray[Any]]) -> ir.Ints:
        """Return the map that a layer with one input reads."""
        names = [layer.name for layer in self.net.layers]
        (read,) = self.net.reads[names.index(name)]
        v: ir.Ints = values[names[read - 1] if read else ir.FRAME].astype("int64")
        return v

    def _prepared(self, part: Joint, values: Mapping[str, NDArray[Any]]) -> ir.Ints:
        """Return what a part sends that prepares a layer's input, which no layer computes."""
        v = self._read(part.layer.name, values)
        # A copy has other codes for the same values.
        if part.kind == "copy":
            return v
        assert isinstance(part.layer, ir.Stretch)
        return part.layer.stretched(v, 0)


def _codes(values: NDArray[Any], alphabet: ir.Alphabet) -> ir.Ints:
    """Return the codes of values of an alphabet."""
    return (values.astype(np.int64) - alphabet.lo) // alphabet.step


def text_digest(verilog: str, images: Mapping[str, str]) -> str:
    """Compute the SHA-256 of Verilog and of ROM images with their file names, in hexadecimal."""
    h = hashlib.sha256(verilog.encode())
    for name, text in images.items():
        h.update(f"\n{name}\n{text}".encode())
    return h.hexdigest()
