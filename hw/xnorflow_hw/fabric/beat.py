"""The sum of the weighted products of one beat, for one PE.

Two kinds of forms compute the same integer: a popcount for each pair of an activation plane and a
weight plane, or, for each weight plane, the sum of the XNORs of whole codes ("add").

Masked weights, -1, 0 and 1, have a plane of signs and one of masks, and lanes whose mask is 0 add
nothing: one popcount or sum instead of the two that bipolar planes would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from numpy.typing import NDArray

from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.fabric import popcount, recode, xnor_sum
from xnorflow_hw.fabric.adder_tree import tree_sum
from xnorflow_hw.spec.kinds import Fabric, Style, SumForm
from xnorflow_hw.spec.latency import beat_latency, popcount_latency, spared_lanes

Lane = tuple[Value, Value]
DENSE_LANES = 6
"""Smallest number of lanes for which placed popcounts pay."""
RECODED_SUMS = 4
"""Smallest number of sums of the same codes for which recoding the codes pays."""


def cheapest_form(
    *, simd: int, bits: int, fabric: Fabric, sums: int, words: int, masked: bool = False
) -> SumForm:
    """Choose the form with the fewest LUTs.

    Parameters
    ----------
    simd, bits, fabric :
        As those of a `BeatSum`.
    sums : int
        Number of sums of the same codes, one per PE and weight plane. They share the logic that
        recodes the codes: 3 LUTs per 3 lanes, of which each sum saves 1.
    words : int
        Number of words of the memory of the weights. Recoding takes a cycle; reading a single word,
        a constant, takes none.
    masked : bool
        As that of a `BeatSum`.

    Returns
    -------
    {"tree", "dense", "recoded", "add"}
        The form.

    Notes
    -----
    LUTs of one PE's sum of a beat in each form, by Yosys 0.70 (tree, dense, add; a popcount of 16
    leaves a lane to the accumulator):

    ==== ===== ============== ============== ===========
    bits  simd ECP5           7-series       generic, LUT6
    ==== ===== ============== ============== ===========
       1    16 31, 20         18, 14         18
       2     3 11, 12, 10     5, 9, 5        5, -, 5
       2     8 39, 29, 34     23, 21, 18     23, -, 24
       2    16 82, 54, 76     52, 34, 41     52, -, 53
       4     8 91, 71, 48     54, 50, 32     54, -, 50
       4    16 179, 123, 106  113, 77, 71
       4    64 693, 437, 456  409, 257, 309  409, -, 464
       8     3 58, 74, 22     29, 45, 17
       8    16 377, 265, 166  231, 159, 131
    ==== ===== ============== ============== ===========

    Sums of codes also take the fewest registers.
    """
    if bits > 1 and simd <= 4 * bits:
        return "add"
    known = popcount.forms(fabric, masked=masked)
    if simd < DENSE_LANES or "dense" not in known:
        return "tree"
    return "recoded" if sums >= RECODED_SUMS and words > 1 and "recoded" in known else "dense"


@dataclass(frozen=True)
class BeatSum:
    """Builds the sum ``sum over planes p of c_p sum over lanes of (code XNOR weight)``.

    The weight bit of a lane is compared with every bit of the lane's code. If there is a mask, the
    lanes where it is 0 are left out.

    Parameters
    ----------
    simd : int
        Number of lanes.
    bits : int
        Width of a code in bits.
    coefficients : tuple of int
        Positive integer factor of each weight plane.
    form : {"tree", "dense", "recoded", "add"}
        Popcounts in one of the forms of `popcount`, or sums of codes.
    fabric : Fabric
        The logic cells it is built of.
    style : {"amaranth", "verilog"}
        Plain Amaranth, or instances of the Verilog in `modules`.
    masked : bool
        Whether weights have a mask as their last plane, which has no coefficient.

    Raises
    ------
    ValueError
        If the fabric lacks the form.
    """

    simd: int
    bits: int
    coefficients: tuple[int, ...]
    form: SumForm = "tree"
    fabric: Fabric = "generic"
    style: Style = "amaranth"
    masked: bool = False

    def __post_init__(self) -> None:
        """Check the form."""
        known = (*popcount.forms(self.fabric, masked=self.masked), "add")
        if self.form not in known:
            raise ValueError(
                f"form is {self.form!r}; the fabric {self.fabric!r} has {', '.join(known)}"
            )

    @property
    def complemented(self) -> bool:
        """Whether the memory holds complemented weights."""
        return self.form == "add"

    @property
    def early(self) -> int:
        """Cycles, 0 or 1, by which codes precede their weights: recoding takes a register."""
        return int(self.form == "recoded" and self.style == "verilog")

    def kept(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Return weight bits [depth, planes, pe, simd] as the memory holds them for `build`."""
        if self.early:
            return recode.recoded(weights, self.counted)
        if not self.complemented:
            return weights
        signs = len(self.coefficients)
        return np.concatenate([weights[:, :signs] ^ 1, weights[:, signs:]], axis=1)

    @property
    def spared(self) -> int:
        """Number of lanes, 0 or 1, that are left to the accumulator; see `spared_lanes`."""
        return spared_lanes(
            simd=self.simd, bits=self.bits, coefficients=self.coefficients, form=self.form
        )

    @property
    def latency(self) -> int:
        """Clock cycles from codes and weights to the sum."""
        return beat_latency(
            simd=self.simd,
            bits=self.bits,
            coefficients=self.coefficients,
            form=self.form,
            fabric=self.fabric,
        )

    @property
    def width(self) -> int:
        """Width of the sum in bits, without the spared lane."""
        return (self.counted * sum(self.coefficients) * ((1 << self.bits) - 1)).bit_length()

    @property
    def counted(self) -> int:
        """Number of lanes that the sum covers: all of them but the spared one."""
        return self.simd - self.spared

    @property
    def modules(self) -> dict[str, str]:
        """Verilog modules, by name, that have to be appended to the design."""
        if self.style != "verilog":
            return {}
        if self.complemented:
            options: dict[str, Any] = {"fabric": self.fabric, "masked": self.masked}
            name = xnor_sum.module_name(self.simd, self.bits, **options)
            return {name: xnor_sum.verilog_module(self.simd, self.bits, **options)}
        name = popcount.module_name(*self._size, **self._kind)
        return {name: popcount.verilog_module(*self._size, **self._kind)}

    def operands(self, m: Module, data: Value, name: str) -> list[Value]:
        """Return what `build` takes from the codes of a beat; one call serves all PEs.

        Parameters
        ----------
        m : Module
            The module that gets the logic.
        data : Value [simd * bits]
            Codes, lane 0 lowest, `early` cycles before their weights.
        name : str
            Prefix of the signals' names.

        Returns
        -------
        list of Value
            One per activation plane, or the codes. A spared lane's code comes last, delayed until
            the sum is there, or as it is if there is a mask.
        """
        planes: list[Value] = [data]
        if self.spared:
            planes = [data[:-1]]
        elif self.form != "add" and self.bits > 1:
            planes = []
            for a in range(self.bits):
                plane = Signal(self.simd, name=f"{name}_{a}")
                m.d.comb += plane.eq(Cat(data[i * self.bits + a] for i in range(self.simd)))
                planes.append(plane)
        if self.early:
            planes = [
                delay(m, recode.recoded_value(plane, self.counted), 1, name=f"{name}_{a}_recoded")
                for a, plane in enumerate(planes)
            ]
        if self.spared:
            late = 0 if self.masked else self.early + self.latency
            planes.append(delay(m, data[-1], late, name=f"{name}_spared"))
        return planes

    def build(
        self, m: Module, name: str, operands: Sequence[Value], weights: Sequence[Value]
    ) -> tuple[Value, Lane | None]:
        """Build one PE's sum.

        Parameters
        ----------
        m : Module
            The module that gets the logic.
        name : str
            Prefix of the signals' names.
        operands : sequence of Value
            What `operands` returned.
        weights : sequence of Value [simd]
            The PE's word of weights for each plane, and last the mask, if there is one.

        Returns
        -------
        sum : Value [width]
            The sum, `latency` cycles later.
        lane : pair of Value, optional
            Code and weight of the spared lane at the same time: where they agree, 1 has to be
            added.
        """
        terms: list[Signal] = []
        part = self._codes if self.complemented else self._count
        mask = weights[-1] if self.masked else None
        signs = weights[: len(self.coefficients)]
        for a, x in enumerate(operands[: len(operands) - self.spared]):
            for p, (coefficient, w) in enumerate(zip(self.coefficients, signs, strict=True)):
                own, factor = f"{name}_{a}_{p}", coefficient << a
                term = Signal(range(self._most * factor + 1), name=f"term_{own}")
                m.d.comb += term.eq(part(m, own, x, w, mask) * factor)
                terms.append(term)
        total = tree_sum(m, terms, name=f"sum_{name}")[: self.width]
        if not self.spared:
            return total, None
        if mask is not None:
            agrees = Signal(name=f"agrees_{name}")
            m.d.comb += agrees.eq(~(operands[-1] ^ signs[0][-1]) & mask[-1])
            late = delay(m, agrees, self.latency, name=f"spared_{name}")
            return total, (late, Const(1))
        late = delay(m, signs[0][-1], self.latency, name=f"spared_{name}")
        return total, (operands[-1], late)

    @property
    def _most(self) -> int:
        """The highest value of a term."""
        return self.simd * ((1 << self.bits) - 1) if self.complemented else self.counted

    @property
    def _kind(self) -> dict[str, Any]:
        """Form, fabric and mask, as keyword arguments of `popcount`."""
        return {"form": self.form, "fabric": self.fabric, "masked": self.masked}

    @property
    def _size(self) -> tuple[int, int]:
        """Lanes and latency of a popcount."""
        return self.counted, popcount_latency(self.counted, form=self.form, fabric=self.fabric)

    def _codes(self, m: Module, name: str, x: Value, flip: Value, mask: Value | None) -> Signal:
        """Build the sum of the XNORs of whole codes."""
        n = Signal(range(self._most + 1), name=f"codes_{name}_n")
        ports = {"simd": self.simd, "bits": self.bits, "x": x, "flip": flip, "n": n, "mask": mask}
        if self.style == "verilog":
            m.submodules[f"codes_{name}"] = xnor_sum.instance(**ports, fabric=self.fabric)
        else:
            xnor_sum.plain(m, **ports)
        return n

    def _count(self, m: Module, name: str, x: Value, w: Value, mask: Value | None) -> Signal:
        """Build a popcount.

        In Verilog it is a bare instance, because a wrapper module for each would be clutter.
        """
        w, mask = w[: self.counted], None if mask is None else mask[: self.counted]
        simd, latency = self._size
        if self.style == "verilog":
            n = Signal(range(self._most + 1), name=f"popcount_{name}_n")
            m.submodules[f"popcount_{name}"] = popcount.instance(
                simd=simd,
                latency=latency,
                x=x,
                w=w,
                n=n,
                mask=mask,
                form=self.form,
                fabric=self.fabric,
            )
            return n
        part = popcount.XnorPopcount(simd=simd, latency=latency, masked=self.masked)
        m.submodules[f"popcount_{name}"] = part
        m.d.comb += [part.x.eq(x), part.w.eq(w)]
        if mask is not None:
            m.d.comb += part.m.eq(mask)
        return part.n
