"""Draw all pictures of the documentation: ``python docs/pictures/draw.py [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import arithmetic  # noqa: E402
import engine  # noqa: E402
import flips  # noqa: E402
import frames  # noqa: E402

PICTURES = {
    "way": frames.way,
    "interval": frames.interval,
    "popcount": arithmetic.popcount,
    "thresholds": arithmetic.thresholds,
    "pe_simd": engine.pe_simd,
    "folding": engine.folding,
    "line_buffer": engine.line_buffer,
    "flipped_bits": flips.flipped_bits,
}


def draw(folder: Path) -> None:
    """Draw all pictures into a folder."""
    for name, picture in PICTURES.items():
        picture().write(folder / f"{name}.svg")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
