"""cocotb testbench of edges that are switched on and off through the register of the AXI wrapper.

An `Observer` checks every cycle, every answer of the register bus, and that results are whole.
"""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow_sim.bench.axi_driver import AxiBench


async def _begins(bench: AxiBench) -> None:
    """Wait until a beat is accepted."""
    dut = bench.dut
    while True:
        await RisingEdge(dut.aclk)
        if dut.s_axis_tvalid.value == 1 and dut.s_axis_tready.value == 1:
            return


@cocotb.test()
async def switched_between_frames(dut: Any) -> None:
    """Each frame has the scores of its own number of edges, though others are on their way.

    The number is written while the frame before is still coming in, and the result of that frame
    and of those before it are still to come.
    """
    bench = AxiBench(dut)
    most = bench.constants["MOST_EDGES"]
    most_on_their_way = 0
    for speeds in ((0.0,) * 7, (0.6, 0.0, 0.2, 0.1, 0.3, 0.2, 0.2), (0.0, 0.9, 0, 0, 0, 0, 0)):
        await bench.reset()
        assert await bench.read("EDGES") == await bench.read("MOST_EDGES") == most
        bench.pause(*speeds)
        await bench.write("EDGES", bench.edges[0])
        for packet, following in zip(bench.frames, [*bench.edges[1:], 0], strict=True):
            begun = cocotb.start_soon(_begins(bench))
            await bench.send(packet)
            await begun
            await bench.write("EDGES", following)
            on_their_way = len(bench.observer.model.begun)
            most_on_their_way = max(most_on_their_way, on_their_way)
            await bench.source.wait()
        await bench.receive(*bench.expected)
        await bench.idle()
        taken = await bench.snapshot()
        assert taken["FRAMES_IN"] == taken["FRAMES_OUT"] == len(bench.frames)
        assert bench.sink.empty()
    assert most_on_their_way > 1, "no two frames were in the accelerator at once"


@cocotb.test()
async def reset_keeps_the_number(dut: Any) -> None:
    """A reset in mid-frame drops the settings of frames that are dropped, not the register."""
    bench = AxiBench(dut)
    await bench.reset()
    for count, packet, scores in zip(bench.edges, bench.frames, bench.expected, strict=True):
        other = bench.constants["MOST_EDGES"] if count == 1 else 1
        await bench.write("EDGES", other)
        beat = bench.constants["IN_BYTES"]
        await bench.send(packet, packet[:beat])
        await bench.source.wait()
        await bench.write("EDGES", count)
        await bench.write("CONTROL", 1)
        assert await bench.read("EDGES") == count
        await bench.idle()
        bench.sink.clear()
        await bench.send(packet)
        await bench.receive(scores)
