"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from xnorflow import ir
from xnorflow.cli.console import working

F = TypeVar("F", bound=Callable[..., Any])


def _all(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    def apply(f: F) -> F:
        for decorator in reversed(decorators):
            f = decorator(f)
        return f

    return apply


class Scale(click.ParamType):
    """A positive number, or a quotient such as 1/255."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        numerator, slash, denominator = str(value).partition("/")
        try:
            result = float(numerator) / (float(denominator) if slash else 1.0)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number or a quotient such as 1/255", param, ctx)
        if not 0 < result < float("inf"):
            self.fail(f"{value!r} is not positive", param, ctx)
        return result


model_argument = click.argument("model", type=click.Path(path_type=Path))
input_options = _all(
    click.option(
        "--input",
        "input_type",
        default="uint8",
        show_default=True,
        type=click.Choice(["uint8"]),
        help="Type of the raw samples.",
    ),
    click.option(
        "--input-scale",
        type=Scale(),
        default=1.0,
        metavar="S",
        show_default=True,
        help="The model takes sample * S: 1/255 if it was trained on [0, 1].",
    ),
)
target_options = _all(
    click.option("--board", metavar="B", help="Board, e.g. ulx3s-85f."),
    click.option(
        "--fps",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Frames per second to reach.",
    ),
    click.option(
        "--cycles", type=click.IntRange(min=1), metavar="N", help="Cycles per frame to reach."
    ),
    click.option(
        "--folding",
        type=click.Path(path_type=Path),
        metavar="F.json",
        help="PE and SIMD per layer: a file of ours or of FINN's.",
    ),
    click.option(
        "--clock",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MHz",
        help="Clock that frames per second are computed for.",
    ),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, not a table.")


def load_model(path: Path, input_type: str, input_scale: float) -> ir.IntegerNetwork:
    """Load a model with a spinner."""
    from xnorflow.api import load

    with working(f"importing {path.name}"):
        return load(path, input=input_type, input_scale=input_scale)
