"""Names of boards, devices, links and methods: any case, the nearest name, completion."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from xnorflow import demo
from xnorflow.cli import main

MODEL = str(demo.model_path())


def completed(*words: str) -> set[str]:
    """Return what a shell offers for the last of the words."""
    found = ShellComplete(main, {}, "xnorflow", "_XNORFLOW_COMPLETE")
    *before, last = words
    return {item.value for item in found.get_completions(list(before), last)}


def test_a_shell_completes_commands_options_and_names() -> None:
    assert completed("comp") == {"compile", "compare"}
    assert {"--board", "--json", "--quiet", "--no-merge"} <= completed("compile", MODEL, "--")
    assert completed("compile", MODEL, "--board", "TANG") == {"tangnano9k", "tangnano20k"}
    assert completed("compile", MODEL, "--link", "u") == {"uart"}
    assert completed("compile", MODEL, "--part", "lfe5u-8") == {"LFE5U-85F"}
    assert completed("compare", MODEL, "--gpu", "t4,a1") == {"t4,a100", "t4,a100-80gb"}
    assert completed("compare", MODEL, "--fpga", "u250,ice") == {"u250,icebreaker"}
    assert "binary-connect" in completed("train", "binary")
    assert completed("simulate", MODEL, "--engine", "g") == {"golden"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(shell: str) -> None:
    environment = {"_XNORFLOW_COMPLETE": f"{shell}_source"}
    result = CliRunner(env=environment).invoke(main, [], prog_name="xnorflow")
    assert result.exit_code == 0 and "_xnorflow_completion" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compile", "--board", "ulx3s85f", "-o", "x"), "did you mean 'ulx3s-85f'?"),
        (("compile", "--board", "Arty-A7-53", "-o", "x"), "did you mean 'arty-a7-35'?"),
        (("compile", "--part", "LFE5U-84F", "-o", "x"), "did you mean 'LFE5U-85F'?"),
        (("compile", "--link", "URAT", "-o", "x"), "did you mean 'uart'?"),
        (("compare", "--fpga", "u520"), "did you mean 'u250'?"),
        (("compare", "--fpga", "u250", "--gpu", "A10"), "did you mean 'a100'?"),
    ],
)
def test_the_nearest_name_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(main, [arguments[0], MODEL, *arguments[1:]])
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())


def test_the_nearest_method_is_named() -> None:
    result = CliRunner().invoke(main, ["train", "binaryconnect", "-o", "x.onnx"])
    assert result.exit_code == 2 and "did you mean binary-connect?" in result.stderr


def test_case_does_not_matter(tmp_path: Path) -> None:
    out = str(tmp_path / "o")
    options = ("--board", "ULX3S-25F", "--cycles", "4608", "--link", "UART", "--json")
    result = CliRunner().invoke(main, ["compile", MODEL, "-o", out, *options])
    assert result.exit_code == 0 and '"ulx3s-25f"' in result.stdout
    result = CliRunner().invoke(
        main, ["compare", out, "--fpga", "Ulx3s-25F", "--gpu", "A100,T4", "--json"]
    )
    assert result.exit_code == 0 and '"NVIDIA T4"' in result.stdout
    result = CliRunner().invoke(main, ["train", "BNN", "-o", str(tmp_path / "no" / "x.onnx")])
    assert "there is no folder" in result.stderr
