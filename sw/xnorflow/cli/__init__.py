"""The command line. Each command has a module of its own; this one registers them all."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import click

from xnorflow.cli import console
from xnorflow.cli.endings import ending, flush, interruptible, no_children_left
from xnorflow.version import __version__


class _Group(click.Group):
    """Command group that turns every error into one message and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; other signals that ask it to end act like Ctrl-C."""
        # Names from files may have characters that the terminal's encoding does not have.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        console.be_quiet(False)
        with interruptible():
            return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, and end with the message and exit code of its error, if there is one."""
        try:
            with no_children_left():
                result = super().invoke(ctx)
            flush()
            return result
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as e:
            if ctx.params.get("debug") and isinstance(e, Exception):
                raise
            message, code = ending(e)
            with suppress(OSError):
                flush()
            console.complain(message)
            ctx.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Turn trained binary neural networks into FPGA accelerators, proved equal bit by bit.

    \b
    Start here:
      xnorflow demo                   the whole way on a small network
      xnorflow inspect model.onnx     what is in a model, or why it is refused
      xnorflow compile model.onnx -o out --board ulx3s-85f --fps 1000
      xnorflow simulate out --data images.npz --engine rtl
      xnorflow check model.onnx --data images.npz --rtl 20
      xnorflow sweep model.onnx --device ulx3s-85f -o results
      xnorflow train bnn -o bnn.onnx  train one: 'xnorflow train --list' shows all
      xnorflow doctor                 which tools are missing

    Every command has --json for scripts and --quiet. The exit code is 0 if all went well, 1 if a
    check failed, 2 for bad usage or bad input, and 130 after Ctrl-C.

    \b
    Completion of commands, options, boards and methods in bash, zsh or fish:
      eval "$(_XNORFLOW_COMPLETE=bash_source xnorflow)"
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
        sweep,
        train,
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
        sweep,
        train,
        doctor,
    ):
        main.add_command(module.command)


_register()
