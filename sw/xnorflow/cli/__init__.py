"""The command line. Each command lives in a module of its own; this one ties them together."""

from __future__ import annotations

import sys

import click

from xnorflow.errors import XnorflowError
from xnorflow.version import __version__


class _Group(click.Group):
    """Turns our errors into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except XnorflowError as e:
            if ctx.params.get("debug"):
                raise
            from xnorflow.cli.console import err

            err.print(f"[bold red]error:[/] {_escape(str(e))}", highlight=False, soft_wrap=True)
            ctx.exit(e.exit_code)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Trained binary neural networks to FPGA accelerators, proved equal bit by bit.

    \b
    Start here:
      xnorflow demo                      the whole way on a small network
      xnorflow inspect model.onnx        what is in a model, or why it cannot be mapped
      xnorflow compile model.onnx -o out --board ulx3s-85f --fps 1000
      xnorflow simulate out --data images.npz --engine rtl
      xnorflow check model.onnx --data images.npz --rtl 20
      xnorflow doctor                    which tools are missing
    """


def _register() -> None:
    from xnorflow.cli import (
        boards,
        build,
        check,
        compare,
        compile,
        demo,
        doctor,
        export,
        inspect,
        program,
        run,
        simulate,
    )

    for module in (
        demo,
        inspect,
        boards,
        compile,
        simulate,
        check,
        export,
        build,
        program,
        run,
        compare,
        doctor,
    ):
        main.add_command(module.command)


_register()

if __name__ == "__main__":
    sys.exit(main())
