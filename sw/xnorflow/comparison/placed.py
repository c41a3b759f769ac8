"""Read what place and route said of a design, from the ``build.json`` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xnorflow.devices.figure import Figure, Origin
from xnorflow.inputs import blaming, read_json

BUILD = Path("build") / "build.json"
"""Where ``xnorflow build`` writes, within the folder of a design."""
RESOURCES = {"lut": "luts", "ff": "ffs", "bram": "ram_blocks"}
"""Key of a row's figure, by name in ``build.json``."""


@dataclass(frozen=True)
class PlacedDesign:
    """Results of place and route.

    Parameters
    ----------
    board : str
        Name of the board.
    clock : Figure
        Clock that the board's PLL makes and that the design meets.
    resources : mapping of str to Figure
        "luts", "ffs" and "ram_blocks", with board logic and host link.
    """

    board: str
    clock: Figure
    resources: Mapping[str, Figure]


def read_placed(folder: Path, design_digest: str) -> PlacedDesign | None:
    """Read the results of place and route of a design.

    Parameters
    ----------
    folder : Path
        Folder of the design.
    design_digest : str
        Digest of the design.

    Returns
    -------
    PlacedDesign or None
        None if the design was not placed, or the results are those of another design.

    Raises
    ------
    xnorflow.errors.BadInput
        If there is a file of that name that xnorflow did not write.
    """
    path = folder / BUILD
    if not path.is_file():
        return None
    what = "a build.json that xnorflow wrote"
    content = read_json(path, what)
    with blaming(f"{path} is not {what}"):
        if content["kind"] != "placed" or content["design_digest"] != design_digest:
            return None
        how = f"{content['flow']}, Fmax {float(content['fmax_mhz']):.1f} MHz (build.json)"
        used = content["resources"]
        return PlacedDesign(
            str(content["board"]),
            Figure(float(content["clock_mhz"]), "MHz", Origin.PLACED, how),
            {
                RESOURCES[name]: Figure(
                    int(used[name]["used"]), name.upper(), Origin.PLACED, f"{how}, with host link"
                )
                for name in RESOURCES
                if name in used
            },
        )
