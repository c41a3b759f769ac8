import re

import pytest

from xnorflow.devices import tables as devices
from xnorflow.devices.figure import Origin
from xnorflow.devices.tables import Datum, Fpga, Gpu
from xnorflow.errors import BadInput

BOARDS = [
    "ulx3s-85f",
    "ulx3s-25f",
    "icebreaker",
    "orangecrab-85f",
    "colorlight-i5",
    "tangnano9k",
    "tangnano20k",
    "arty-a7-35",
    "arty-a7-100",
    "pynq-z1",
    "pynq-z2",
    "zc706",
    "zcu104",
    "ultra96-v2",
    "kv260",
    "u250",
]


def data_of(device: Fpga | Gpu) -> dict[str, Datum]:
    found = {k: v for k, v in vars(device).items() if isinstance(v, Datum)}
    if isinstance(device, Gpu):
        found |= device.tops
    else:
        found |= {k: v for k, v in vars(device.family).items() if isinstance(v, Datum)}
    return found


ALL = [*devices.fpgas().values(), *devices.gpus().values()]


def test_every_board_of_the_contract_is_there():
    assert list(devices.fpgas()) == BOARDS
    assert len(devices.gpus()) >= 4


@pytest.mark.parametrize("device", ALL, ids=lambda d: getattr(d, "board", None) or d.name)
def test_every_figure_has_a_dated_source(device):
    for name, datum in data_of(device).items():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", datum.source.looked_up), name
        assert datum.source.document, name
        assert datum.value >= 0, name
        if datum.source.status in ("vendor", "third-party"):
            assert datum.source.url.startswith("http"), name


@pytest.mark.parametrize("fpga", devices.fpgas().values(), ids=lambda f: f.board)
def test_what_the_model_needs_of_an_fpga_is_sourced(fpga):
    for datum in (
        fpga.luts,
        fpga.ffs,
        fpga.ram_blocks,
        fpga.family.clock_mhz,
        fpga.family.lutram_luts,
    ):
        datum.use()
    assert fpga.family.clock_mhz.source.status == "assumed"
    capacity = {d * w for d, w in fpga.family.ram_shapes}
    assert max(capacity) <= 18 * 1024 and max(capacity) / min(capacity) <= 9 / 8


@pytest.mark.parametrize("gpu", devices.gpus().values(), ids=lambda g: g.name)
def test_what_the_model_needs_of_a_gpu_is_sourced(gpu):
    for datum in (gpu.tops["fp16"], gpu.tops["int8"], gpu.bandwidth_gbs, gpu.power_w):
        datum.use()


def test_an_unverified_figure_is_refused():
    power = devices.fpga("u250").power_w
    assert power is not None and not power.usable
    with pytest.raises(BadInput, match="no source"):
        power.use()
    with pytest.raises(BadInput, match="no source"):
        power.figure("W")


def test_kind_of_a_figure_follows_its_source():
    a100, t4 = devices.gpu("a100"), devices.gpu("t4")
    assert a100.tops["b1"].figure("TOPS").kind is Origin.PUBLISHED
    assert t4.tops["b1"].figure("TOPS").kind is Origin.ESTIMATED
    assert devices.fpga("zcu104").family.clock_mhz.figure("MHz").kind is Origin.ESTIMATED


@pytest.mark.parametrize(
    "name, macs_per_clock", [("t4", 8192), ("a100", 16384), ("a100-80gb", 16384), ("h100", 16384)]
)
def test_one_bit_rates_agree_with_their_derivation(name, macs_per_clock):
    gpu = devices.gpu(name)
    rate = gpu.sms.use() * gpu.clock_mhz.use() * 1e6 * macs_per_clock * 2 / 1e12
    assert gpu.tops["b1"].use() == pytest.approx(rate, rel=1e-3)


def test_dense_rates_derived_from_sparse_ones():
    l4, orin = devices.gpu("l4").tops, devices.gpu("orin-nano").tops
    assert (l4["int8"].use(), l4["fp16"].use()) == (485 / 2, 242 / 2)
    assert (orin["int8"].use(), orin["fp16"].use()) == (67 / 2, 67 / 4)


def test_the_two_memories_of_an_a100_differ_in_bandwidth_alone():
    small, large = devices.gpu("a100"), devices.gpu("a100-80gb")
    assert {k: d.value for k, d in small.tops.items()} == {
        k: d.value for k, d in large.tops.items()
    }
    assert (small.bandwidth_gbs.use(), large.bandwidth_gbs.use()) == (1555, 2039)
    assert small.power_w.use() == large.power_w.use()


def test_a_rate_from_memory_is_not_used():
    a40 = devices.gpu("a40").tops
    assert a40["int8"].usable and a40["fp16"].usable and not a40["b1"].usable


@pytest.mark.parametrize("look_up", [devices.fpga, devices.gpu])
def test_unknown_names_are_answered_with_the_known_ones(look_up):
    with pytest.raises(BadInput, match=r"'pc'.*known are .*(ulx3s-85f|a100)"):
        look_up("pc")


@pytest.mark.parametrize(
    ("board", "code", "weight", "blocks"),
    [
        ("ulx3s-85f", 8, 8, 1),
        ("ulx3s-85f", 2, 3, 1),
        ("ulx3s-85f", 18, 18, 1),
        ("ulx3s-85f", 8, 24, 2),
        ("icebreaker", 8, 8, 1),
        ("icebreaker", 4, 4, 0),
        ("icebreaker", 8, 3, 1),
        ("icebreaker", 8, 24, 2),
        ("tangnano20k", 8, 8, 0.5),
        ("tangnano20k", 8, 9, 0.5),
        ("tangnano20k", 9, 8, 1),
        ("tangnano20k", 16, 16, 1),
        ("tangnano20k", 2, 8, 0),
        ("tangnano20k", 8, 3, 0),
        ("tangnano20k", 3, 4, 0.5),
        ("pynq-z1", 8, 8, 1),
        ("pynq-z1", 4, 4, 0),
        ("pynq-z1", 2, 7, 1),
        ("pynq-z1", 24, 18, 1),
        ("pynq-z1", 25, 17, 2),
        ("pynq-z1", 8, 24, 1),
    ],
)
def test_products_take_what_yosys_takes(board, code, weight, blocks):
    assert devices.fpga(board).family.dsp.blocks(code, weight) == blocks
