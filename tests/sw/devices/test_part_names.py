import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.devices.part_names import FAMILIES, PartName, known_parts
from xnorflow.devices.tables import families
from xnorflow.errors import BadInput


@pytest.mark.parametrize(
    ("text", "family", "device", "package", "speed", "key"),
    [
        # Ordering codes as the makers' data sheets and the boards' documents have them.
        ("LFE5U-45F", "ecp5", "LFE5U-45F", "", "", "lfe5u-45f"),
        ("lfe5u-12f-6bg381c", "ecp5", "LFE5U-12F", "BG381", "6", "lfe5u-12f"),
        ("LFE5UM5G-85F-8BG381", "ecp5", "LFE5UM5G-85F", "BG381", "8", "lfe5u-85f"),
        ("iCE40UP5K-SG48ITR", "ice40-ultraplus", "iCE40UP5K", "SG48", "", "ice40up5k"),
        ("ice40hx8k-ct256", "ice40-hx", "iCE40HX8K", "CT256", "", "ice40hx8k"),
        ("GW1NR-LV9QN88PC6/I5", "gw1nr", "GW1NR-9", "QN88P", "C6/I5", "gw1nr-9"),
        ("GW2A-LV18PG256C8/I7", "gw2ar", "GW2A-18", "PG256", "C8/I7", "gw2a-18"),
        ("xc7a35ticsg324-1L", "xilinx-7", "xc7a35t", "csg324", "1L", "xc7a35t"),
        ("XC7Z020CLG400-1", "xilinx-7", "xc7z020", "clg400", "1", "xc7z020"),
        ("XCKU115-FLVA1517-2-I", "xilinx-ultrascale", "xcku115", "flva1517", "2-i", "xcku115"),
        ("xcvu9p", "xilinx-ultrascale-plus", "xcvu9p", "", "", "xcvu9p"),
        (
            "xck26-sfvc784-2LV-c",
            "xilinx-ultrascale-plus",
            "xck26",
            "sfvc784",
            "2LV-c",
            "xck26",
        ),
    ],
)
def test_ordering_codes_are_taken_apart(text, family, device, package, speed, key):
    part = PartName.of(text)
    assert (part.family, part.device, part.package, part.speed, part.key) == (
        family,
        device,
        package,
        speed,
        key,
    )
    assert part.complete == bool(package)


def test_every_part_of_the_tables_has_its_family_in_its_name():
    data = json.loads(files("xnorflow.devices").joinpath("fpgas.json").read_text())
    for key, entry in data["parts"].items():
        assert (PartName.of(key).family, PartName.of(key).key) == (entry["family"], key)
    assert set(FAMILIES) == set(families())
    assert {PartName.of(name).key for name in known_parts()} == set(data["parts"])


def test_what_is_no_part_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"LFE5U-45G.*iCE40HX8K-CT256.*did you mean 'LFE5U-45F'"):
        PartName.of("LFE5U-45G")
    with pytest.raises(BadInput, match="no known family"):
        PartName.of("x" * 10_000)


@given(st.text(max_size=70))
def test_any_text_is_a_part_or_none(text):
    part = PartName.read(text)
    assert part is None or PartName.read(part.text) == part
