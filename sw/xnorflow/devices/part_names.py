"""The makers' names of FPGAs: family, die, package and speed grade, read from the name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from xnorflow.devices.device_data import content
from xnorflow.devices.near_names import did_you_mean
from xnorflow.errors import BadInput

_PATTERNS = (
    (
        "ecp5",
        r"(?P<device>LFE5UM?(?:5G)?-\d{2}F)(?:-(?P<speed>[678])(?P<package>[A-Z]{2,3}\d{3})[CI]?)?",
    ),
    (
        "ice40-ultraplus",
        r"(?P<device>iCE40UP[35]K)(?:-(?P<package>[A-Z]{2,3}\d{2,3})I?(?:TR\d*K?)?)?",
    ),
    ("ice40-hx", r"(?P<device>iCE40HX[148]K)(?:-(?P<package>[A-Z]{2}\d{2,3}))?"),
    ("ice40-lp", r"(?P<device>iCE40LP[148]K)(?:-(?P<package>[A-Z]{2}\d{2,3}))?"),
    (
        "gw1nr",
        r"(?P<series>GW1N[A-Z]{0,2})-(?P<volts>[LU][VX])?(?P<size>\d{1,2})C?"
        r"(?:(?P<package>[A-Z]{2,3}\d{2,3}[A-Z]?)(?P<speed>C\d/I\d|ES))?",
    ),
    (
        "gw2ar",
        r"(?P<series>GW2AN?R?)-(?P<volts>[LU][VX])?(?P<size>\d{1,2})C?"
        r"(?:(?P<package>[A-Z]{2,3}\d{2,3}[A-Z]?)(?P<speed>C\d/I\d|ES))?",
    ),
    (
        "xilinx-7",
        r"(?P<device>xc7[akvzs]h?x?\d{2,4}s?t?)(?P<grade>[il])?"
        r"(?:(?P<package>[a-z]{3,4}\d{3,4})-(?P<speed>[123]L?[ile]?))?",
    ),
    (
        "xilinx-ultrascale",
        r"(?P<device>xc[kv]u\d{3})(?:-?(?P<package>[a-z]{4}\d{4})-(?P<speed>[123]L?V?(?:-[iec])?))?",
    ),
    (
        "xilinx-ultrascale-plus",
        r"(?P<device>xc(?:zu\d{1,2}(?:eg|ev|cg|dr)|[kv]u\d{1,2}p|u\d{2,3}|k\d{2}|au\d{1,2}p))"
        r"(?:-?(?P<package>[a-z]{4}\d{3,4})-(?P<speed>[123]L?V?(?:-[iec])?))?",
    ),
)
FAMILIES = tuple(family for family, _ in _PATTERNS)
"""Names of the families."""
_EXAMPLES = {
    "ecp5": "LFE5U-45F-6BG381C",
    "ice40-ultraplus": "iCE40UP5K-SG48",
    "ice40-hx": "iCE40HX8K-CT256",
    "ice40-lp": "iCE40LP8K-CM81",
    "gw1nr": "GW1NR-LV9QN88PC6/I5",
    "gw2ar": "GW2AR-LV18QN88C8/I7",
    "xilinx-7": "xc7a35tcsg324-1",
    "xilinx-ultrascale": "xcku115-flva1517-2-e",
    "xilinx-ultrascale-plus": "xczu3eg-sbva484-1-e",
}


@dataclass(frozen=True)
class PartName:
    """An FPGA's name, taken apart.

    Parameters
    ----------
    text : str
        The name in its maker's spelling.
    family : str
        Name of the family in the device tables.
    device : str
        The die, with the maker's spelling, such as "LFE5U-45F" or "GW1NR-9".
    package, speed : str
        Package and speed grade; empty where the name does not have them.
    """

    text: str
    family: str
    device: str
    package: str = ""
    speed: str = ""

    @property
    def key(self) -> str:
        """Name of the die in the device tables; dies that differ in transceivers only share one."""
        return re.sub(r"^lfe5um?(5g)?-", "lfe5u-", self.device.lower())

    @property
    def complete(self) -> bool:
        """Whether the name has all that place and route needs: the package, too."""
        return bool(self.package)

    @classmethod
    def read(cls, text: str) -> PartName | None:
        """Take a name apart, in any case; None if it is of no known family."""
        if len(text) > 60:
            return None
        for family, pattern in _PATTERNS:
            upper = not family.startswith("xilinx")
            spelt = text.strip().upper() if upper else text.strip().lower()
            spelt = re.sub("^ICE40", "iCE40", spelt)
            if not upper:
                spelt = re.sub(r"-([123])l(v?)", lambda m: f"-{m[1]}L{m[2].upper()}", spelt)
            found = re.fullmatch(pattern, spelt)
            if found is None:
                continue
            parts = found.groupdict()
            device = parts.get("device") or f"{parts['series']}-{parts['size']}"
            return cls(spelt, family, device, parts.get("package") or "", parts.get("speed") or "")
        return None

    @classmethod
    def of(cls, text: str) -> PartName:
        """Take a name apart, in any case.

        Raises
        ------
        BadInput
            If it is of no known family; the message shows how names are written.
        """
        found = cls.read(text)
        if found is None:
            raise BadInput(
                f"{text[:60]!r} is the part of no known family; names that would work look like"
                f" {', '.join(_EXAMPLES.values())}{did_you_mean(text, known_parts())}"
            )
        return found

    def lacks_package(self) -> BadInput:
        """Return the error for a name without the package where a bitstream needs it."""
        return BadInput(
            f"{self.text} names no package, which a bitstream needs. What would work: the whole"
            f" name, as in {_EXAMPLES[self.family]}"
        )


@cache
def known_parts() -> tuple[str, ...]:
    """Return the names of the dies whose capacities are in the device tables."""
    return tuple(PartName.of(key).device for key in content("fpgas.json")["parts"])
