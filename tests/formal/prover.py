"""Proofs about components by k-induction over the clock cycles, with an SMT solver.

A `Monitor` holds one component and what is claimed of it, written in Amaranth beside it: claims,
which are the rules of `docs/hardware.md`; lemmas, which relate the component's registers to those
of the monitor and are proved together with the claims; and assumptions about the surroundings.

Time begins with one cycle of reset, before which every register and memory holds anything.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Array, ClockDomain, Const, Fragment, Module, Signal, Value
from amaranth.lib.wiring import Flow
from amaranth.utils import ceil_log2

TOP = "top"


class Monitor:
    """A component and what is claimed of it.

    Parameters
    ----------
    dut : Component
        The component. All of its inputs are free in every cycle.

    Attributes
    ----------
    m : Module
        Where the counters of the monitor are built.
    inner : Module
        What the component elaborates to.
    claims, lemmas, assumptions : dict of str to Signal
        One bit each, by name.
    """

    def __init__(self, dut: Any) -> None:
        self.m, self.dut, self.inner = Module(), dut, dut.elaborate(None)
        self.claims: dict[str, Signal] = {}
        self.lemmas: dict[str, Signal] = {}
        self.assumptions: dict[str, Signal] = {}
        self.m.domains.sync = domain = ClockDomain("sync")
        self.ports: list[Value] = [domain.clk, domain.rst]
        for _, _, member in dut.signature.flatten(dut):
            value = Value.cast(member)
            if not isinstance(value, Const) and len(value):
                self.ports.append(value)

    @cached_property
    def fragment(self) -> Fragment:
        """The component with all that is in it."""
        fragment = Fragment.get(self.inner, None)
        self.m.submodules.dut = fragment
        return fragment

    def part(self, *path: str) -> Fragment:
        """Return the part of the component that the names of `path` lead to."""
        fragment = self.fragment
        for step in path:
            [fragment] = [part for part, own, _ in fragment.subfragments if own == step]
        return fragment

    def registers(self, *path: str) -> dict[str, Signal]:
        """Return the registers of the component, or of the part that `path` names, by name."""
        signals: dict[str, Signal] = {}
        for statement in self.part(*path).statements.get("sync", ()):
            for signal in statement._lhs_signals():
                assert signals.setdefault(signal.name, signal) is signal, f"two {signal.name}"
        return signals

    def register(self, name: str, *path: str) -> Signal:
        """Return one register of the component, or of the part of it that `path` names."""
        return self.registers(*path)[name]

    def peek(self, address: Value, *path: str) -> Signal:
        """Return the word that the memory `path` has at an address."""
        memory: Any = self.part(*path)
        place, word = Signal(ceil_log2(memory._data.depth)), Signal(memory._data.shape)
        memory.read_port(domain="comb", addr=place, data=word, en=Const(1), transparent_for=())
        self.m.d.comb += place.eq(address)
        return word

    def constant(self, width: int, name: str) -> Signal:
        """Return a number that can be anything but never changes."""
        signal = Signal(width, name=name, reset_less=True)
        self.m.d.sync += signal.eq(signal)
        return signal

    def count(self, event: Value, modulus: int, name: str) -> Signal:
        """Return the number of earlier cycles with an event, modulo `modulus`."""
        counter = Signal(range(max(2, modulus)), name=name)
        with self.m.If(event):
            self.m.d.sync += counter.eq(0 if modulus == 1 else counter + 1)
            with self.m.If(counter == modulus - 1):
                self.m.d.sync += counter.eq(0)
        return counter

    def capture(self, event: Value, value: Value, name: str) -> Signal:
        """Return what a value was in the last earlier cycle with an event."""
        register = Signal(len(Value.cast(value)), name=name)
        with self.m.If(event):
            self.m.d.sync += register.eq(value)
        return register

    def past(self, value: Value, cycles: int = 1) -> Value:
        """Return a value of some cycles ago, 0 in the cycles after the reset."""
        for _ in range(cycles):
            register = Signal(len(Value.cast(value)))
            self.m.d.sync += register.eq(value)
            value = register
        return value

    def assume(self, name: str, value: Value) -> None:
        """Assume that a bit is 1 in every cycle."""
        self.assumptions[name] = self._bit("assumption", name, value)

    def lemma(self, name: str, value: Value) -> None:
        """Claim that a bit is 1 in every cycle, as a help for the proof of the claims."""
        self.lemmas[name] = self._bit("lemma", name, value)

    def claim(self, name: str, value: Value) -> None:
        """Claim that a bit is 1 in every cycle."""
        self.claims[name] = self._bit("claim", name, value)

    def keeps(self, stream: Any) -> Value:
        """Return whether a stream still offers what it offered in vain in the cycle before."""
        waited = self.past(stream.valid & ~stream.ready)
        same = stream.payload == self.past(stream.payload)
        return ~waited | (stream.valid & same)

    def _bit(self, kind: str, name: str, value: Value) -> Signal:
        bit = Signal(name=f"{kind}_{name}".replace(" ", "_"))
        self.m.d.comb += bit.eq(Value.cast(value).bool())
        return bit

    @cached_property
    def rtlil(self) -> str:
        """The component and all claims as text for Yosys; nothing can be added any more."""
        assert self.fragment is not None
        bits = [*self.claims.values(), *self.lemmas.values(), *self.assumptions.values()]
        return rtlil.convert(self.m, name=TOP, ports=[*self.ports, *bits], emit_src=False)

    @cached_property
    def smt(self) -> str:
        """The state, its transition and the bits of the claims as functions in SMT-LIB."""
        return _netlist(self, "write_smt2 -stbv -wires {}")


def look_up(table: Any, index: Value) -> Value:
    """Return the entry of a table of numbers at an index."""
    numbers = [int(x) for x in table]
    width = max(1, max(numbers).bit_length())
    return Array(Const(x, width) for x in numbers)[index]


def _netlist(monitor: Monitor, *commands: str) -> str:
    """Run commands of Yosys on a flat netlist; return what they have written."""
    yosys: Any = pytest.importorskip("pyosys.libyosys", reason="proofs need pyosys")
    with TemporaryDirectory() as folder:
        source, out = Path(folder) / "top.il", Path(folder) / "out"
        source.write_text(monitor.rtlil)
        design = yosys.Design()
        for command in (
            f"read_rtlil {source}",
            f"hierarchy -top {TOP}",
            "proc",
            # Registers hold anything before the reset.
            "setattr -unset init w:*",
            "flatten",
            "memory_map",
            # Not of registers: one that never changes is a constant of any value here.
            "opt -fine -noff",
            "dffunmap",
            "opt_clean",
            *(command.format(out) for command in commands),
        ):
            yosys.run_pass(f"tee -q {command}", design)
        return out.read_text()


def paths(monitor: Monitor) -> set[str]:
    """Return which controls reach which others without a register: "source > sink" for each pair.

    Controls are the ports of one bit that are no payload: valid, ready, permit and their like.
    """
    text = _netlist(monitor, "techmap", "opt_clean", "write_json {}")
    module = json.loads(text)["modules"][TOP]
    drives: dict[int, set[int]] = {}
    for cell in module["cells"].values():
        kind = cell["type"].upper()
        assert kind.startswith("$_") or kind == "$SCOPEINFO", f"{kind} is no gate"
        if "DFF" in kind or "LATCH" in kind:
            continue
        ends: dict[str, list[int]] = {"input": [], "output": []}
        for port, bits in cell["connections"].items():
            ends[cell["port_directions"][port]] += [bit for bit in bits if isinstance(bit, int)]
        for bit in ends["input"]:
            drives.setdefault(bit, set()).update(ends["output"])

    controls: dict[Flow, dict[str, set[int]]] = {Flow.In: {}, Flow.Out: {}}
    for path, member, value in monitor.dut.signature.flatten(monitor.dut):
        if path[-1] not in ("payload", "o_data") and len(Value.cast(value)) == 1:
            bits = module["ports"][value.name]["bits"]
            controls[member.flow][".".join(path)] = {bit for bit in bits if isinstance(bit, int)}
    found = set()
    for source, start in controls[Flow.In].items():
        reached, new = set(), set(start)
        while new:
            reached |= new
            new = {out for bit in new for out in drives.get(bit, ())} - reached
        found |= {f"{source} > {sink}" for sink, end in controls[Flow.Out].items() if reached & end}
    return found


class Unrolled:
    """The states of a monitor in some consecutive cycles, for the solver.

    Parameters
    ----------
    monitor : Monitor
        What the states are of.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.solver: Any = pytest.importorskip("bitwuzla", reason="proofs need bitwuzla")
        self.terms = self.solver.TermManager()
        self.parser = self.solver.Parser(self.terms, self.solver.Options())
        self.parser.parse(monitor.smt, True, False)
        self.sort = self.parser.parse_sort(f"|{TOP}_s|")
        self.bitwuzla = self.parser.bitwuzla()
        self.states: list[Any] = []

    def _of(self, text: str) -> Any:
        return self.parser.parse_term(text)

    def step(self, *, reset: bool = False) -> None:
        """Append one cycle in which the assumptions hold; the first has any state."""
        number = len(self.states)
        self.parser.parse(f"(declare-const s{number} |{TOP}_s|)", True, False)
        self.states.append(number)
        facts = [f"(|{TOP}_h| s{number})"]
        if number:
            facts.append(f"(|{TOP}_t| s{number - 1} s{number})")
        rst = f"(|{TOP}_n rst| s{number})"
        facts.append(rst if reset else f"(not {rst})")
        if not reset:
            facts += [self._name(bit, number) for bit in self.monitor.assumptions.values()]
        for fact in facts:
            self.bitwuzla.assert_formula(self._of(fact))

    def _name(self, bit: Signal, number: int) -> str:
        return f"(|{TOP}_n {bit.name}| s{number})"

    def hold(self, bits: dict[str, Signal]) -> None:
        """Assert that bits are 1 in the newest cycle."""
        for bit in bits.values():
            self.bitwuzla.assert_formula(self._of(self._name(bit, self.states[-1])))

    def possible(self, *wrong: Signal) -> bool:
        """Return whether the newest cycle is possible, with one of some bits 0 if any are named."""
        names = " ".join(self._name(bit, self.states[-1]) for bit in wrong)
        result = self.bitwuzla.check_sat(
            *([self._of(f"(not (and true {names}))")] if wrong else [])
        )
        assert result != self.solver.Result.UNKNOWN
        return bool(result == self.solver.Result.SAT)

    def broken(self, bits: dict[str, Signal]) -> list[str]:
        """Return the names of the bits that can be 0 in the newest cycle."""
        return [name for name, bit in bits.items() if self.possible(bit)]


def refuted(monitor: Monitor, cycles: int, names: Collection[str] = ()) -> set[str]:
    """Return the names of the claims that can be false within some cycles after the reset."""
    unrolled, found = Unrolled(monitor), set()
    claims = {name: bit for name, bit in monitor.claims.items() if not names or name in names}
    unrolled.step(reset=True)
    for _ in range(cycles):
        unrolled.step()
        found |= set(unrolled.broken({n: b for n, b in claims.items() if n not in found}))
        if len(found) == len(claims):
            break
    return found


def prove(monitor: Monitor, k: int = 1) -> None:
    """Prove all claims and lemmas of a monitor for every cycle after the reset.

    Parameters
    ----------
    monitor : Monitor
        What is claimed.
    k : int
        Cycles in which all claims and lemmas hold, from which they follow for the next one.

    Raises
    ------
    AssertionError
        If something can be false in the first `k` cycles, does not follow in the induction's step,
        or if the assumptions contradict each other.
    """
    everything = monitor.claims | {f"lemma {name}": bit for name, bit in monitor.lemmas.items()}
    base = Unrolled(monitor)
    base.step(reset=True)
    for cycle in range(k):
        base.step()
        assert base.possible(), f"the assumptions cannot hold in cycle {cycle}"
        assert not (broken := base.broken(everything)), f"false in cycle {cycle}: {broken}"
    step = Unrolled(monitor)
    for _ in range(k):
        step.step()
        step.hold(everything)
    step.step()
    assert step.possible(), "the assumptions contradict each other"
    assert not (broken := step.broken(everything)), f"not inductive with k = {k}: {broken}"


def mutant(component: type, old: str, new: str) -> Any:
    """Return a copy of a component's class in whose module one passage reads differently."""
    module = sys.modules[component.__module__]
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    copy = types.ModuleType(f"{module.__name__}_mutant")
    # Dataclasses and annotations look their module up by name.
    sys.modules[copy.__name__] = copy
    try:
        exec(compile(source.replace(old, new), copy.__name__, "exec"), copy.__dict__)
    finally:
        del sys.modules[copy.__name__]
    return getattr(copy, component.__name__)
