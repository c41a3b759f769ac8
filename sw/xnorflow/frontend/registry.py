"""The register of the functions that import operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.values import Activation, Value
from xnorflow.graph.ops import Op

Result = tuple[Activation, tuple[Op, ...]]
"""Result of an import: the node's output, and the operations that compute it from its input."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Result of an import that reads several tensors, or a part of what its inputs read.

    Parameters
    ----------
    made : Activation
        The node's output, with the operations that make it.
    """

    made: Activation


Outcome = Result | Joined
Handler = Callable[[Node, Sequence[Value | None]], Outcome]
"""A function that imports a node: it takes the node and its inputs, None for absent ones."""
LayerHandler = Callable[[Node, Sequence[Value | None]], Result]
"""A handler of nodes that read one tensor."""


@dataclass(frozen=True)
class Entry:
    """A handler, and the nodes that it may be given.

    Parameters
    ----------
    handler : callable
        Function that imports a node with at least one activation among its inputs.
    attributes : frozenset of str
        Attributes that it honours; any other is refused, because it might change the meaning.
    inputs : tuple of int
        Least and greatest number of inputs.
    any_type : bool
        Whether features may have other element types than float32.
    joins : bool
        Whether several inputs may be features.
    """

    handler: Handler
    attributes: frozenset[str]
    inputs: tuple[int, int]
    any_type: bool = False
    joins: bool = False


HANDLERS: dict[tuple[str, str], Entry] = {}
"""Entries by family (see `xnorflow.frontend.node.DOMAINS`) and operator."""


AnyHandler = TypeVar("AnyHandler", bound=Handler)


def handles(
    *ops: str,
    attributes: str = "",
    inputs: tuple[int, int] = (1, 1),
    family: str = STANDARD,
    any_type: bool = False,
    joins: bool = False,
) -> Callable[[AnyHandler], AnyHandler]:
    """Return a decorator that registers a function as the handler of operators; see `Entry`."""

    def register(handler: AnyHandler) -> AnyHandler:
        for op in ops:
            HANDLERS[family, op] = Entry(
                handler, frozenset(attributes.split()), inputs, any_type, joins
            )
        return handler

    return register


def activation(node: Node, value: Value | None) -> Activation:
    """Return an input that has to be features; UnsupportedModel if it is a constant or absent."""
    if not isinstance(value, Activation):
        raise node.unsupported(
            "its first input is a constant, but should be the features.",
            "the features as first input.",
        )
    return value
