"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from xnorflow import ir
from xnorflow.cli.console import working
from xnorflow.ir.input_order import LAYOUTS

F = TypeVar("F", bound=Callable[..., Any])


def _all(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    def apply(f: F) -> F:
        for decorator in reversed(decorators):
            f = decorator(f)
        return f

    return apply


class Scale(click.ParamType):
    """Parameter type for a positive number or a quotient such as 1/255, kept as text."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Check the value, and return it as text, which still says whether it is a quotient."""
        from xnorflow.errors import BadInput
        from xnorflow.graph.input_scale import InputScale

        try:
            InputScale.of(value)
        except BadInput as e:
            self.fail(str(e), param, ctx)
        return str(value)


model_argument = click.argument("model", type=click.Path(path_type=Path))
input_options = _all(
    click.option(
        "--input",
        "input_type",
        default="uint8",
        show_default=True,
        metavar="KIND",
        help="Kind of the samples: uint8, int8, uintN or intN of 2 to 16 bits, bits, bipolar, file"
        " (the integers of the model's own input quantiser) or float (quantised on the host as the"
        " model does).",
    ),
    click.option(
        "--input-scale",
        type=Scale(),
        default="1",
        metavar="S",
        show_default=True,
        help="Factor of the samples before the model sees them: 1/255 if it was trained on [0, 1]."
        " 1/n divides by n, as x / 255 in Python does; any other number multiplies, in float32.",
    ),
    click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Order of the samples in your data, if the shapes leave a choice: as in the model"
        " file, channels last or channels first.",
    ),
)
target_options = _all(
    click.option("--board", metavar="B", help="Board to build for, e.g. ulx3s-85f."),
    click.option(
        "--fps",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Target in frames per second.",
    ),
    click.option(
        "--cycles", type=click.IntRange(min=1), metavar="N", help="Target in cycles per frame."
    ),
    click.option(
        "--folding",
        type=click.Path(path_type=Path),
        metavar="F.json",
        help="Folding file with PE and SIMD per layer, ours or FINN's.",
    ),
    click.option(
        "--clock",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MHz",
        help="Clock for which frames per second are computed.",
    ),
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images."
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    show_default=True,
    help="Processes that share the simulated frames.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, not a table.")


def load_model(
    path: Path, input_type: str, input_scale: str, layout: str | None = None
) -> ir.IntegerNetwork:
    """Load a model while a spinner is shown; the parameters are those of `xnorflow.load`."""
    from xnorflow.api import load

    with working(f"importing {path.name}"):
        return load(path, input=input_type, input_scale=input_scale, layout=layout)
