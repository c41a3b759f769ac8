"""Front of a stage that joins streams: their beats together or in turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.spec import JoinSpec, PortSpec
from xnorflow_hw.spec.latency import BUFFER_LATENCY
from xnorflow_hw.stage.window_checks import word_memory


class StreamJoin(wiring.Component):
    """Takes beats of several streams and issues them to an array.

    Order of issue, outermost loop first: frame, pixel, beat of the pixel. A beat is issued in a
    cycle in which `permit` is 1 and every port whose next beat is needed offers it; the ports take
    these beats in the same cycle. A port that is held gives a beat only where it is needed for the
    first time, and the beat is kept.

    Parameters
    ----------
    spec : JoinSpec
        Ports, size of the map, and order.

    Members
    -------
    i, or i_0, i_1, ... : In(stream.Signature(word_bits of the port))
        Beats of each port; `i` if there is one port.
    permit : In(1)
        Whether a beat may be issued in this cycle.
    o_valid : Out(1)
        A beat, `latency` cycles after its issue.
    o_data : Out(spec.word_bits)
        The beats of all ports, port 0 lowest; in turn, that of `o_port`.
    o_first, o_last : Out(1)
        Always 1: every beat is a reduction.
    o_row : Out(range(rows)), at least one bit
        Number of the beat within its pixel.
    o_port : Out(range(ports)), at least one bit
        Whose turn it is, 0 if beats are taken together.
    o_issued : Out(1)
        Whether a beat is issued in this very cycle.

    Attributes
    ----------
    latency : int
        2 clock cycles, as in a buffer.
    rows : int
        Number of values of `o_row`.
    names : list of str
        Names of the streams of all ports, in order.
    inputs : list of stream
        These streams.

    Raises
    ------
    ValueError
        If a number is out of its range, the turns do not fit the map, or a port is held in a way
        that does not fit its lanes and words.
    """

    latency = BUFFER_LATENCY

    def __init__(self, spec: JoinSpec) -> None:
        """Check the parameters and declare the ports."""
        check_join(spec)
        self.spec, self.rows = spec, spec.rows
        ports = range(len(spec.ports))
        self.names = ["i"] if len(ports) == 1 else [f"i_{k}" for k in ports]
        super().__init__(
            {
                **{
                    name: In(stream.Signature(port.word_bits))
                    for name, port in zip(self.names, spec.ports, strict=True)
                },
                "permit": In(1),
                "o_valid": Out(1),
                "o_data": Out(spec.word_bits),
                "o_first": Out(1),
                "o_last": Out(1),
                "o_row": Out(index_shape(self.rows)),
                "o_port": Out(index_shape(len(spec.ports))),
                "o_issued": Out(1),
            }
        )

    @property
    def inputs(self) -> list[Any]:
        """The streams of all ports, in order."""
        return [getattr(self, name) for name in self.names]

    def model(self, *beats: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the beats of whole frames, in order of issue.

        Parameters
        ----------
        *beats : array [frames, beats]
            The beats of each port; of dtype object where they are wider than 64 bits.

        Returns
        -------
        dict of arrays [beats]
            The keys are data (of dtype object), row and port.
        """
        spec, frames = self.spec, len(beats[0])
        at = np.arange(spec.cycles)
        port = np.zeros(spec.cycles, np.int64)
        data = np.zeros((frames, spec.cycles), object)
        low = 0
        for k, (own, p) in enumerate(zip(beats, spec.ports, strict=True)):
            if spec.turns:
                taken = spec.takes(k)
                data[:, taken] = own.astype(object)
                port[taken] = k
                continue
            number = {
                "none": at,
                "pixel": at // spec.words,
                "frame": at % spec.words if p.words > 1 else 0 * at,
            }[p.hold]
            data += own.astype(object)[:, number] << low
            low += p.word_bits
        return {
            "data": data.ravel(),
            "row": np.tile(at % spec.words, frames),
            "port": np.tile(port, frames),
        }

    def elaborate(self, platform: Any) -> Module:
        """Build the counters, the issue, and for each port what keeps its beats."""
        m = Module()
        spec, ports = self.spec, self.spec.ports
        word = Loop(spec.words, "word")
        issue = Signal()
        needed = self._turns(m, issue) if spec.turns else self._together(m, issue, word)
        offered = [~need | i.valid for need, i in zip(needed, self.inputs, strict=True)]
        m.d.comb += [issue.eq(self.permit & Cat(offered).all()), self.o_issued.eq(issue)]
        for k, (need, i) in enumerate(zip(needed, self.inputs, strict=True)):
            others = Cat(self.permit, *(o for j, o in enumerate(offered) if j != k))
            m.d.comb += i.ready.eq(need & others.all())
        with m.If(issue):
            word.advance(m)

        port: Value = Const(0, 1)
        if spec.turns:
            port = Signal(index_shape(len(ports)), name="port")
            for k, need in enumerate(needed):
                with m.If(need):
                    m.d.comb += port.eq(k)
            beat = Signal(spec.word_bits, name="beat")
            with m.Switch(port):
                for k, i in enumerate(self.inputs):
                    with m.Case(k) if k + 1 < len(ports) else m.Default():
                        m.d.comb += beat.eq(i.payload)
            data = delay(m, beat, 1, name="data")
        else:
            data = Cat(
                self._kept(m, k, p, issue, need, word)
                for k, (p, need) in enumerate(zip(ports, needed, strict=True))
            )
        m.d.comb += [
            self.o_valid.eq(delay(m, issue, 2, name="valid", reset=True)),
            self.o_data.eq(delay(m, data, 1, name="output")),
            self.o_first.eq(1),
            self.o_last.eq(1),
            self.o_row.eq(delay(m, word.index, 2, name="row")),
            self.o_port.eq(delay(m, port, 2, name="port")),
        ]
        return m

    def _turns(self, m: Module, issue: Value) -> list[Value]:
        """Count the beats of the turns; return whose turn it is, a register per port."""
        turns = self.spec.turns
        given = [Loop(count, f"given_{k}") for k, count in enumerate(turns)]
        own: list[Value] = [Signal(init=k == 0, name=f"turn_{k}") for k in range(len(turns))]
        if len(own) == 1:
            return [Const(1, 1)]
        for k, loop in enumerate(given):
            with m.If(issue & own[k]):
                loop.advance(m)
                with m.If(loop.last):
                    m.d.sync += [own[k].eq(0), own[(k + 1) % len(own)].eq(1)]
        return own

    def _together(self, m: Module, issue: Value, word: Loop) -> list[Value]:
        """Return which ports have to give a beat for the next issue."""
        spec = self.spec
        first_word: Value = Const(1, 1)
        if spec.words > 1 and any(p.words == 1 and p.hold != "none" for p in spec.ports):
            first_word = Signal(init=1, name="first_word")
            with m.If(issue):
                m.d.sync += first_word.eq(word.last)
        first_pixel: Value = Const(1, 1)
        if spec.height * spec.width > 1 and any(p.hold == "frame" for p in spec.ports):
            first_pixel = Signal(init=1, name="first_pixel")
            pixel = Loop(spec.height * spec.width, "pixel")
            with m.If(issue & word.last):
                pixel.advance(m)
                m.d.sync += first_pixel.eq(pixel.last)
        needed: list[Value] = []
        for p in spec.ports:
            match p.hold:
                case "none":
                    needed.append(Const(1, 1))
                case "pixel":
                    needed.append(first_word)
                case "frame":
                    needed.append(first_pixel & first_word if p.words == 1 else first_pixel)
                case _:
                    raise ValueError(f"a port cannot be held for {p.hold!r}")
        return needed

    def _kept(
        self, m: Module, k: int, port: PortSpec, issue: Value, need: Value, word: Loop
    ) -> Value:
        """Build what keeps the beats of port `k`; return the one of an issue, a cycle later."""
        payload = self.inputs[k].payload
        if isinstance(need, Const):
            return delay(m, payload, 1, name=f"data_{k}")
        kept = Signal(len(payload), name=f"data_{k}", reset_less=True)
        if port.words == 1:
            with m.If(issue & need):
                m.d.sync += kept.eq(payload)
            return kept
        m.submodules[f"memory_{k}"] = memory = word_memory(port.word_bits, port.words, "auto")
        writer, reader = memory.write_port(), memory.read_port()
        m.d.comb += [
            writer.addr.eq(word.index),
            writer.data.eq(payload),
            writer.en.eq(issue & need),
            reader.addr.eq(word.index),
        ]
        # The first pixel's beats are not read from where they are being written.
        m.d.sync += kept.eq(payload)
        fresh = delay(m, need, 1, name=f"fresh_{k}")
        return Mux(fresh, kept, reader.data)


def check_join(spec: JoinSpec) -> None:
    """Check that the ports of a join fit its map.

    Raises
    ------
    ValueError
        If a number is out of its range, the turns do not fit the map, or a port is held in a way
        that does not fit its lanes and words.
    """
    if not spec.ports:
        raise ValueError("ports is empty; a join needs one or more")
    for name in ("height", "width", "words"):
        if getattr(spec, name) < 1:
            raise ValueError(f"{name} is {getattr(spec, name)}; it has to be 1 or more")
    for k, port in enumerate(spec.ports):
        if min(port.bits, port.lanes, port.words) < 1:
            raise ValueError(
                f"port {k} has {port.bits} bits, {port.lanes} lanes and {port.words} words; all"
                " have to be 1 or more"
            )
    if spec.turns:
        _check_turns(spec)
        return
    for k, port in enumerate(spec.ports):
        fitting = {"none": (spec.words,), "pixel": (1,), "frame": (1, spec.words)}
        if port.hold not in fitting:
            raise ValueError(f"port {k} is held for {port.hold!r}; known are {', '.join(fitting)}")
        if port.words not in fitting[port.hold]:
            raise ValueError(
                f"port {k} has {port.words} words and is held for {port.hold!r}; it has to have"
                f" {' or '.join(map(str, fitting[port.hold]))}"
            )


def _check_turns(spec: JoinSpec) -> None:
    """Check the turns of a join that takes beats in turn."""
    if len(spec.turns) != len(spec.ports) or min(spec.turns) < 1:
        raise ValueError(
            f"turns are {spec.turns}; there has to be a positive number for each of"
            f" {len(spec.ports)} ports"
        )
    if spec.cycles % sum(spec.turns):
        raise ValueError(
            f"turns {spec.turns} take {sum(spec.turns)} beats, which do not divide the frame's"
            f" {spec.cycles}"
        )
    held = [k for k, port in enumerate(spec.ports) if port.hold != "none"]
    if held:
        raise ValueError(f"port {held[0]} is held; in turn, no port can be")
