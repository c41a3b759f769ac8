"""What links carry, against sums by hand, and where their rates come from."""

import re

import pytest

from xnorflow.devices.links import MESSAGE_BYTES, FrameBytes, at_baud, link, link_of, links
from xnorflow.errors import BadInput
from xnorflow_boards.build.bitstream import BAUD
from xnorflow_hw.link.link_format import HEADER_BYTES

MNIST = FrameBytes(784, 20)


def test_every_link_of_the_table_has_a_dated_source():
    assert list(links()) == ["uart", "ft245", "spi", "axi-dma", "pcie"]
    for found in links().values():
        for datum in (found.to_board, found.to_host):
            assert datum.usable and datum.source.url.startswith("https://")
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", datum.source.looked_up)


def test_the_serial_port_is_the_one_that_build_makes():
    assert links()["uart"].to_board.use() == BAUD / 10
    assert HEADER_BYTES + 4 + 1 == MESSAGE_BYTES, "header, checksum and a flag"


def test_a_serial_port_of_another_rate_carries_as_much_more():
    fast = at_baud(3_000_000)
    assert fast.title == "UART at 3 Mbaud"
    assert fast.fps(MNIST) == pytest.approx(3 * links()["uart"].fps(MNIST))
    assert at_baud(BAUD) == links()["uart"]


def test_a_serial_port_carries_about_125_frames_of_mnist():
    assert 124 < links()["uart"].fps(MNIST) < 126


def test_links_without_messages_carry_beats_alone():
    assert links()["axi-dma"].fps(MNIST) == pytest.approx(399.04e6 / 784)
    # A frame of one byte whose scores are a thousand: the way back decides.
    assert links()["axi-dma"].fps(FrameBytes(1, 1000)) == pytest.approx(298.59e6 / 1000)


def test_both_directions_share_a_fifo():
    ways = links()["ft245"]
    assert ways.fps(FrameBytes(100, 100)) == pytest.approx(ways.fps(FrameBytes(187, 13)))


@pytest.mark.parametrize(
    "board, name",
    [
        ("ulx3s-85f", "uart"),
        ("icebreaker", "uart"),
        ("arty-a7-35", "uart"),
        ("pynq-z1", "axi-dma"),
        ("zcu104", "axi-dma"),
        ("kv260", "axi-dma"),
        ("u250", "pcie"),
    ],
)
def test_a_board_has_the_link_that_its_file_says(board, name):
    found = link_of(board)
    assert found is not None and found.name == name


def test_a_part_alone_has_no_link():
    assert link_of("LFE5U-45F") is None and link_of("xc7z020clg400-1") is None


def test_an_unknown_link_is_refused():
    with pytest.raises(BadInput, match="unknown link 'usb'; known are uart"):
        link("usb")
    with pytest.raises(BadInput, match="did you mean"):
        link("uatr")


def test_a_figure_says_what_it_leaves_out():
    figure = links()["uart"].figure(MNIST)
    assert figure.kind == "estimated" and "without the host" in (figure.error or "")
    assert MNIST.rate(10) == 8040
