"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from xnorflow import ir
from xnorflow.cli.console import be_quiet, working
from xnorflow.cli.known_names import BOARD, PART, Name
from xnorflow.devices.links import links
from xnorflow.ir.input_order import LAYOUTS

if TYPE_CHECKING:
    from xnorflow.graph.ops import Graph
    from xnorflow.lower.fixed_point import FixedPoint

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


class Numbers(click.ParamType):
    """Parameter type for positive numbers with commas between them.

    Parameters
    ----------
    whole : bool
        Whether they have to be whole numbers.
    """

    name = "numbers"

    def __init__(self, whole: bool = False) -> None:
        self.kind: Callable[[str], float] = int if whole else float

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(self.kind(text) for text in value.split(",") if text.strip())
        except ValueError:
            found = ()
        if not found or not all(number > 0 for number in found):
            kind = "whole numbers" if self.kind is int else "numbers"
            self.fail(f"{value!r} is no list of {kind} above 0 such as 50,100", param, ctx)
        return found


model_argument = click.argument("model", type=click.Path(path_type=Path))


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says of how a model file and its samples are read.

    Parameters
    ----------
    input, input_scale, layout, fixed_point, calibrate
        As for `xnorflow.load`.
    with_edges : bool
        Its parameter `edges`.
    merge : bool
        As for `xnorflow.load`.
    """

    input: str = "uint8"
    input_scale: str = "1"
    layout: str | None = None
    fixed_point: str | None = None
    calibrate: Path | None = None
    with_edges: bool = False
    merge: bool = True

    def check_compiled(self, model: Path) -> None:
        """Refuse what only the import of a model file can honour, for a folder with a design.

        Raises
        ------
        BadInput
            If a layout, fixed point, edges or unmerged layers were asked for.
        """
        from xnorflow.errors import BadInput

        given = {
            name: getattr(self, name)
            for name in ("layout", "fixed_point", "calibrate", "with_edges")
        }
        for name, value in {**given, "no_merge": not self.merge}.items():
            if value not in (None, False):
                raise BadInput(
                    f"--{name.replace('_', '-')}: {model} is compiled already; give the option to"
                    " 'xnorflow compile'"
                )


_INPUT_OPTIONS = _all(
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
        type=click.Choice(LAYOUTS, case_sensitive=False),
        help="Order of the samples in your data, if the shapes leave a choice: as in the model"
        " file, channels last or channels first.",
    ),
    click.option(
        "--fixed-point",
        metavar="BITS|auto",
        help="Round what has no exact integer form, such as real weights, to BITS bits; auto takes"
        " the fewest that keep the labels of the calibration data.",
    ),
    click.option(
        "--calibrate",
        type=click.Path(path_type=Path),
        metavar="IMAGES",
        help="Data for --fixed-point, an .npz with x, an .npy or a folder of PNG.  [default: drawn"
        " samples]",
    ),
    click.option(
        "--with-edges",
        is_flag=True,
        help="Make sums of convolutions that read one map edges of one layer, which can be disabled"
        " while the network runs, as in ternary residual networks.",
    ),
    click.option(
        "--no-merge",
        is_flag=True,
        help="Keep layers apart that would become one where that takes less of an FPGA; scores are"
        " the same.",
    ),
)


def input_options(f: F) -> F:
    """Add the options that say how a model is read; the command gets them as `reading`."""

    @functools.wraps(f)
    def command(
        *args: Any,
        input_type: str,
        input_scale: str,
        layout: str | None,
        fixed_point: str | None,
        calibrate: Path | None,
        with_edges: bool,
        no_merge: bool,
        **options: Any,
    ) -> Any:
        reading = ReadingOptions(
            input_type, input_scale, layout, fixed_point, calibrate, with_edges, not no_merge
        )
        return f(*args, reading=reading, **options)

    return cast(F, _INPUT_OPTIONS(command))


def board_options(help: str) -> Callable[[F], F]:
    """Add --board and --part; the command gets what was given as `board`."""

    def apply(f: F) -> F:
        @functools.wraps(f)
        def command(*args: Any, board: str | None, part: str | None, **options: Any) -> Any:
            return f(*args, board=board_or_part(board, part), **options)

        decorate = _all(
            click.option("--board", type=BOARD, metavar="B", help=f"{help} {_BOARD_FORMS}"),
            click.option(
                "--part",
                type=PART,
                metavar="P",
                help="An FPGA instead of a board, e.g. LFE5U-45F.",
            ),
        )
        return cast(F, decorate(command))

    return apply


_BOARD_FORMS = "A name, a file (my_board.toml) or module:Class of an Amaranth platform."


def board_or_part(board: str | None, part: str | None) -> str | None:
    """Return the board that --board or --part names, if any.

    Raises
    ------
    click.UsageError
        If both are given.
    BadInput
        If the part is of no known family.
    """
    from xnorflow.devices.board_names import part_named

    if part is None:
        return board
    if board is not None:
        raise click.UsageError("--part is for an FPGA without a board: leave out --board")
    return part_named(part)


def target_options(f: F) -> F:
    """Add the options that say what a design is compiled for."""
    return board_options("Board to build for, e.g. ulx3s-85f.")(_TARGET_OPTIONS(f))


_TARGET_OPTIONS = _all(
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
link_option = click.option(
    "--link",
    type=Name("link", lambda: tuple(links())),
    metavar="L",
    help="Link between host and board: " + ", ".join(links()) + ". The smaller of its frames per"
    " second and the accelerator's is the headline.",
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
edges_option = click.option(
    "--edges",
    type=click.IntRange(min=1),
    metavar="K",
    help="Enable only the first K edges of each layer that has several.  [default: all]",
)


def _hush(ctx: click.Context, param: click.Parameter, quiet: bool) -> None:
    be_quiet(quiet)
    ctx.call_on_close(lambda: be_quiet(False))


quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_hush,
    help="Print nothing but errors, and JSON if asked for.",
)
json_option = _all(
    click.option("--json", "as_json", is_flag=True, help="Print JSON, not a table."), quiet_option
)


def load_model(path: Path, reading: ReadingOptions) -> ir.IntegerNetwork:
    """Load a model while a spinner is shown."""
    from xnorflow.api import load

    what = "" if reading.fixed_point is None else " and choosing fixed-point widths"
    with working(f"importing {path.name}{what}"):
        given = dict(vars(reading))
        return load(path, edges=given.pop("with_edges"), **given)


def read_model(path: Path, reading: ReadingOptions) -> tuple[Graph, FixedPoint | None]:
    """Read a model file for its lowering step by step, and choose its fixed point if asked for."""
    from xnorflow.api import in_fixed_point
    from xnorflow.frontend import read
    from xnorflow.lower.edge_sums import with_edges

    graph = read(path, input=reading.input, input_scale=reading.input_scale, layout=reading.layout)
    if reading.with_edges:
        graph = with_edges(graph)
    if reading.fixed_point is None:
        return graph, None
    with working("choosing fixed-point widths"):
        found = in_fixed_point(graph, reading.fixed_point, reading.calibrate, merge=reading.merge)
    return found.graph, found.fixed
