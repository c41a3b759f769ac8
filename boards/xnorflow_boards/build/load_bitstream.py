"""Loads a bitstream into a board, by openFPGALoader."""

from __future__ import annotations

from os.path import isfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xnorflow.design.folder import BOARD
from xnorflow.devices.board_names import is_name
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.inputs import blaming, read_json
from xnorflow_boards.build.bitstream import FOLDER
from xnorflow_boards.build.build_steps import FORMAT
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows import tools
from xnorflow_boards.flows.process import run


def program(directory: str | Path, *, flash: bool = False) -> tuple[str, float]:
    """Load the bitstream of a design into its board.

    Parameters
    ----------
    directory : path
        Folder of the design, in which `build` made a bitstream.
    flash : bool
        Whether to write the board's flash memory rather than the FPGA's configuration.

    Returns
    -------
    str, float
        What was loaded, for messages, and the seconds that it took.

    Raises
    ------
    BadInput
        If there is no bitstream, if it only measures the accelerator, or if it has weights in the
        flash and `flash` is not set.
    ToolMissing
        If openFPGALoader is not installed.
    CheckFailed
        If openFPGALoader fails; the message has its own words.
    """
    folder = Path(directory) / FOLDER
    try:
        content = read_json(folder / "build.json", "what xnorflow build wrote")
        with blaming(f"{folder / 'build.json'} is not what xnorflow build wrote"):
            if content["format"] != FORMAT:
                raise ValueError(f"the format is {content['format']!r}, not {FORMAT!r}")
            name, core_only = content["bitstream"], content["core_only"]
            weights = content.get("weights_address")
            board = find_board(_board(folder, content))
            if name is not None and not (
                isinstance(name, str) and name and name == Path(name).name
            ):
                raise ValueError(f"its bitstream is {name!r}, not the name of a file beside it")
            if not isinstance(core_only, bool):
                raise ValueError(f"its core_only is {core_only!r}")
    except BadInput as e:
        raise BadInput(
            f"{directory} holds no bitstream ({e}); make one with: xnorflow build {directory}"
        ) from e
    if name is None or not board.loader:
        raise BadInput(
            f"{board.name} is loaded with its maker's tools once they have built the project in"
            f" {folder}"
        )
    if core_only:
        raise BadInput(
            f"the bitstream in {folder} only measures the accelerator and has no link; make another"
            f" with: xnorflow build {directory}"
        )
    bitstream = folder / name
    if not isfile(bitstream):
        raise BadInput(f"{bitstream} is missing; make it with: xnorflow build {directory}")
    if weights is not None and not flash:
        raise BadInput(
            f"the FPGA loads the weights of {bitstream.name} from the flash, so they have to be"
            f" written there: xnorflow program {directory} --flash"
        )
    loader = tools.loader()
    arguments = [*board.loader, *(["--write-flash"] if flash else []), str(bitstream.resolve())]
    with TemporaryDirectory(prefix="xnorflow-") as made:
        step = run("loading", loader, arguments, Path(made), "log", lambda line: None)
    if step.status != 0:
        raise CheckFailed(
            f"openFPGALoader could not load {board.name}: {step.complaint}. Is the board connected"
            " and powered, and may you use its USB device?"
        )
    return f"{bitstream.name} into {board.name}", step.seconds


def _board(folder: Path, content: dict[str, Any]) -> str:
    """Return the board that ``build.json`` names: by its name, or by its file in the folder."""
    name, file = content["board"], content.get("board_file")
    if file not in (None, BOARD):
        raise ValueError(f"its board_file is {file!r}, not {BOARD!r}")
    if file is not None:
        return str(folder / BOARD)
    if not is_name(name):
        raise ValueError(f"its board is {name!r}, which is no name")
    return str(name)
