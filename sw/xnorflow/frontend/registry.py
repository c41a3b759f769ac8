"""Which function imports which operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.values import Activation, Value
from xnorflow.graph.ops import Op

Result = tuple[Activation, tuple[Op, ...]]
"""What a node gives: the tensor it makes, and the operations that make it."""
Handler = Callable[[Node, Sequence[Value | None]], Result]


@dataclass(frozen=True)
class Entry:
    """How to import an operator.

    Parameters
    ----------
    handler : callable
        Imports one node that has at least one activation among its inputs.
    attributes : frozenset of str
        All attributes it understands; any other is an error, as it might change the meaning.
    inputs : tuple of int
        Least and greatest number of inputs.
    any_type : bool
        Whether features may have other element types than float32.
    joins : bool
        Whether several inputs may be features: functions of one tensor, value by value.
    """

    handler: Handler
    attributes: frozenset[str]
    inputs: tuple[int, int]
    any_type: bool = False
    joins: bool = False


HANDLERS: dict[tuple[str, str], Entry] = {}
"""By family (see `xnorflow.frontend.node.DOMAINS`) and operator."""


def handles(
    *ops: str,
    attributes: str = "",
    inputs: tuple[int, int] = (1, 1),
    family: str = STANDARD,
    any_type: bool = False,
    joins: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a function as the handler of some operators; see `Entry`."""

    def register(handler: Handler) -> Handler:
        for op in ops:
            HANDLERS[family, op] = Entry(
                handler, frozenset(attributes.split()), inputs, any_type, joins
            )
        return handler

    return register


def activation(node: Node, value: Value | None) -> Activation:
    """Take the input that has to be the network's features, the others being constants."""
    if not isinstance(value, Activation):
        raise node.unsupported(
            "its first input is a constant, the features come later.",
            "the features as first input.",
        )
    return value
