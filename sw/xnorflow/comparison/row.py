"""A row of a comparison: the figures of one device in one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xnorflow.devices.figure import Figure
from xnorflow.devices.tables import Family


@dataclass(frozen=True)
class Row:
    """Figures of a device in one configuration.

    Parameters
    ----------
    device, title : str
        Name as the user gave it, and full name.
    category : str
        "FPGA" or "GPU".
    data_type : str
        Type of the arithmetic: "fp16", "int8" or "b1" on a GPU, "exact" on an FPGA.
    batch : int
        Frames per batch.
    column : str
        Kind of a GPU's estimate, see `xnorflow.comparison.gpu.COLUMN_TEXT`; "" for an FPGA.
    figures : mapping of str to Figure
        "fps", of the accelerator or GPU alone, and "latency"; "single", the frames per second of
        one frame at a time. Where known also "traffic", the bytes a second that "fps" needs;
        "link", the frames per second that the link to the host carries; "energy", "clock", "ii",
        "luts", "ffs", "ram_blocks", "dsps" and their shares of the device ("luts_share", ...). If a
        link was chosen, "headline" is the smaller of "fps" and "link". For reference,
        "popcount_bound" is the 1-bit rate of a GPU's CUDA cores.
    notes : tuple of str
        Remarks that a reader needs to interpret the figures.
    link : str
        Link of "link", in words; empty without one.
    family : Family, optional
        Family of an FPGA; None for a GPU.
    """

    device: str
    title: str
    category: str
    data_type: str
    batch: int
    column: str
    figures: Mapping[str, Figure]
    notes: tuple[str, ...] = ()
    family: Family | None = None
    link: str = ""

    @property
    def fits(self) -> bool:
        """Whether no estimated resource exceeds the device."""
        return all(self.figures[k].value <= 100 for k in self.figures if k.endswith("_share"))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, for ``json.dump``."""
        return {
            "device": self.device,
            "title": self.title,
            "category": self.category,
            "data_type": self.data_type,
            "batch": self.batch,
            "column": self.column,
            "fits": self.fits,
            "notes": list(self.notes),
            "link": self.link,
            "figures": {k: f.to_json() for k, f in self.figures.items()},
        }
