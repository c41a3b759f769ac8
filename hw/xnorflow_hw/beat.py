"""The sum of one beat's weighted products, of one PE.

Two kinds of forms give the same integer: a popcount for each pair of an activation plane and a
weight plane, or for each weight plane the sum of the XNORs of whole codes ("add").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.utils import ceil_log2

from . import popcount, xnor_sum
from .pipeline import register_count, registered_levels

FORMS = ("tree", "add")


def beat_latency(*, simd: int, bits: int, planes: int, form: str = "tree") -> int:
    """Clock cycles of a `BeatSum` with so many weight planes."""
    if form == "add":
        return xnor_sum.latency_for(simd) + _weighted_latency(planes)
    return popcount.latency_for(simd) + _weighted_latency(bits * planes)


def _weighted_latency(terms: int) -> int:
    return register_count(ceil_log2(terms))


@dataclass(frozen=True)
class BeatSum:
    """Builds the sum ``sum over planes p of c_p sum over lanes of (code XNOR weight)``.

    A weight bit stands for all bits of its lane's code.

    Parameters
    ----------
    simd, bits : int
        Lanes, and bits of a code.
    coefficients : tuple of int
        Positive coefficient of each weight plane.
    form : {"tree", "add"}
        Popcounts in that form, or sums of codes.
    style : {"amaranth", "verilog"}
        Plain Amaranth, or instances of `modules`.
    """

    simd: int
    bits: int
    coefficients: tuple[int, ...]
    form: str = "tree"
    style: str = "amaranth"

    def __post_init__(self) -> None:
        """Check the form."""
        if self.form not in FORMS:
            raise ValueError(f"form is {self.form!r}; known are {', '.join(FORMS)}")

    @property
    def complemented(self) -> bool:
        """Whether weights are given complemented."""
        return self.form == "add"

    @property
    def latency(self) -> int:
        """See `beat_latency`."""
        return beat_latency(
            simd=self.simd, bits=self.bits, planes=len(self.coefficients), form=self.form
        )

    @property
    def modules(self) -> dict[str, str]:
        """Verilog modules, by name, that have to be appended to the design."""
        if self.style != "verilog":
            return {}
        if self.form == "add":
            name = xnor_sum.module_name(self.simd, self.bits)
            return {name: xnor_sum.verilog_module(self.simd, self.bits)}
        size = self.simd, popcount.latency_for(self.simd)
        return {popcount.module_name(*size): popcount.verilog_module(*size)}

    def operands(self, m: Module, data: Value, name: str) -> list[Value]:
        """Give what `build` takes from the codes of a beat, lane 0 lowest: once for all PEs."""
        if self.form == "add" or self.bits == 1:
            return [data]
        planes: list[Value] = []
        for a in range(self.bits):
            plane = Signal(self.simd, name=f"{name}_{a}")
            m.d.comb += plane.eq(Cat(data[i * self.bits + a] for i in range(self.simd)))
            planes.append(plane)
        return planes

    def build(
        self, m: Module, name: str, operands: Sequence[Value], weights: Sequence[Value]
    ) -> Signal:
        """Build one PE's sum, `latency` cycles later, from a word of `simd` bits per plane."""
        terms: list[Signal] = []
        for a, x in enumerate(operands):
            for p, (coefficient, w) in enumerate(zip(self.coefficients, weights, strict=True)):
                own = f"{name}_{a}_{p}"
                part = self._codes if self.complemented else self._count
                factor = coefficient << a
                term = Signal(range(self._most * factor + 1), name=f"term_{own}")
                m.d.comb += term.eq(part(m, own, x, w) * factor)
                terms.append(term)
        levels = ceil_log2(len(terms))
        registered = registered_levels(levels, register_count(levels))
        for level in range(1, levels + 1):
            domain = m.d.sync if level in registered else m.d.comb
            sums = []
            for i in range(0, len(terms), 2):
                value = sum(terms[i + 1 : i + 2], terms[i])
                total = Signal(len(value), name=f"sum_{name}_{level}_{i // 2}", reset_less=True)
                domain += total.eq(value)
                sums.append(total)
            terms = sums
        return terms[0]

    @property
    def _most(self) -> int:
        """Highest value of a term."""
        return self.simd * ((1 << self.bits) - 1 if self.complemented else 1)

    def _codes(self, m: Module, name: str, x: Value, flip: Value) -> Signal:
        n = Signal(range(self._most + 1), name=f"codes_{name}_n")
        size = {"simd": self.simd, "bits": self.bits}
        if self.style == "verilog":
            m.submodules[f"codes_{name}"] = xnor_sum.instance(**size, x=x, flip=flip, n=n)
        else:
            xnor_sum.plain(m, **size, x=x, flip=flip, n=n)
        return n

    def _count(self, m: Module, name: str, x: Value, w: Value) -> Signal:
        """Add a popcount; as a bare instance in Verilog, where a wrapper each would be clutter."""
        if self.style == "verilog":
            n = Signal(range(self._most + 1), name=f"popcount_{name}_n")
            latency = popcount.latency_for(self.simd)
            m.submodules[f"popcount_{name}"] = popcount.instance(
                simd=self.simd, latency=latency, x=x, w=w, n=n
            )
            return n
        m.submodules[f"popcount_{name}"] = part = popcount.XnorPopcount(simd=self.simd)
        m.d.comb += [part.x.eq(x), part.w.eq(w)]
        return part.n
