"""cocotb testbench of an accelerator as an AXI peripheral; ``cocotb_bench.py`` launches it.

An `Observer` checks every cycle and every answer of the register bus. The tests here drive the
ports so that it has something to see, and check the scores.
"""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine
from cocotbext.axi import AxiResp

from xnorflow_hw.axi.register_map import BY_NAME, CONTROL, IDENTITY
from xnorflow_sim.bench.axi_driver import SNAPSHOT, AxiBench
from xnorflow_sim.bench.axi_observer import READABLE, WRITABLE, fields, offset

NONE = 0xFFFFFFFF
RESET, CLEAR = CONTROL["RESET"].mask, CONTROL["CLEAR"].mask


@cocotb.test()
async def identity(dut: Any) -> None:
    """The constants are the design's, and parts of words can be read and written as in memory."""
    bench = AxiBench(dut)
    await bench.reset()
    for register in IDENTITY:
        assert await bench.read(register.name) == bench.constants[register.name], register.name
    digest = bench.constants["DIGEST"].to_bytes(32, "little")
    for start, length in ((0, 32), (1, 1), (7, 3), (31, 1)):
        answer = await bench.bus.read(offset("DIGEST") + start, length)
        assert answer.data == digest[start : start + length]
    await bench.write("SCRATCH", 0x01020304)
    for start, data in ((1, b"\xaa"), (2, b"\xbb\xcc"), (0, b""), (0, b"\xdd")):
        if data:
            await bench.bus.write(offset("SCRATCH") + start, data)
    assert await bench.read("SCRATCH") == 0xCCBBAADD
    assert await bench.read("STATUS") & 1 == 0


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """Without pauses, latency and interval are those that the registers predict."""
    bench = AxiBench(dut)
    await bench.reset()
    await bench.send(bench.frames[0])
    await bench.receive(bench.expected[0])
    await bench.idle()
    alone = await bench.snapshot(CLEAR)
    latency = bench.constants["PREDICTED_LATENCY"]
    assert alone["LATENCY"] == alone["LATENCY_MIN"] == alone["LATENCY_MAX"] == latency
    assert (alone["FRAMES_IN"], alone["FRAMES_OUT"]) == (1, 1)
    assert (alone["INTERVAL"], alone["INTERVAL_MIN"], alone["INTERVAL_MAX"]) == (0, NONE, 0)
    await bench.send(*bench.frames)
    await bench.receive(*bench.expected)
    await bench.idle()
    after = await bench.snapshot()
    assert (after["FRAMES_IN"], after["FRAMES_OUT"]) == (len(bench.frames),) * 2
    assert after["INTERVAL_MIN"] == after["INTERVAL"] == bench.constants["PREDICTED_INTERVAL"]
    assert after["OUT_STALLED"] == after["TLAST_EARLY"] == after["TLAST_MISSING"] == 0


@cocotb.test()
async def paused_on_every_channel(dut: Any) -> None:
    """Frames under random pauses while every register is read and written at random."""
    bench = AxiBench(dut)
    draw = bench.random
    names = sorted(BY_NAME)
    for speeds in ((0.3,) * 7, (0.7, 0.0, 0.9, 0.1, 0.5, 0.2, 0.8), (0.0, 0.8, 0.1, 0.9, 0, 0, 0)):
        await bench.reset()
        bench.pause(*speeds)
        done = False

        async def look() -> None:
            while not done:  # noqa: B023
                await bench.read(draw.choice([*names, "STATUS", "STATUS"]))

        async def touch() -> None:
            while not done:  # noqa: B023
                if draw.random() < 0.3:
                    await bench.write("SCRATCH", draw.getrandbits(32))
                else:
                    await bench.write(
                        "CONTROL", draw.choice([SNAPSHOT, SNAPSHOT, CLEAR | SNAPSHOT, CLEAR, 0])
                    )

        tasks = [cocotb.start_soon(task) for task in (look(), look(), touch(), touch(), touch())]
        while bench.observer.reads < 60 or bench.observer.writes < 20:
            await bench.send(*bench.frames)
            await bench.receive(*bench.expected)
        done = True
        await Combine(*tasks)
        assert await bench.snapshot() == bench.observer.model.taken


@cocotb.test()
async def counters_of_a_whole_run(dut: Any) -> None:
    """One snapshot at the end has all cycles, frames and stalls since reset."""
    bench = AxiBench(dut)
    await bench.reset()
    bench.pause(0.5, 0.5, 0, 0, 0, 0, 0)
    await bench.send(*bench.frames)
    await bench.receive(*bench.expected)
    await bench.idle()
    taken = await bench.snapshot()
    assert taken == bench.observer.model.taken
    assert taken["FRAMES_IN"] == taken["FRAMES_OUT"] == len(bench.frames)
    for name in ("IN_STALLED", "IN_STARVED", "OUT_STALLED"):
        assert 0 < taken[name] < taken["CYCLES"], name
    assert await bench.read("CYCLES") == taken["CYCLES"], "a read alone takes no snapshot"


@cocotb.test()
async def reset_through_the_register(dut: Any) -> None:
    """A reset in mid-frame, in mid-result or with a beat held lets only whole results out."""
    bench = AxiBench(dut)
    await bench.reset()
    beat, result = bench.constants["IN_BYTES"], bench.constants["RESULT_BEATS"]
    half = bench.frames[0][: (len(bench.frames[0]) // beat + 1) // 2 * beat]
    # Half a frame is in: it never has a result.
    await bench.send(half)
    await bench.source.wait()
    assert fields(await bench.read("STATUS"))["IN_FLIGHT"] == 1
    await bench.write("CONTROL", RESET)
    assert fields(await bench.read("STATUS"))["BUSY"] == 0
    await bench.send(*bench.frames)
    await bench.receive(*bench.expected)

    # Beat number `cut` of a result is offered and held, and another frame follows it.
    for cut in sorted({1, min(2, result), (result + 1) // 2, max(result - 1, 1), result}):
        await bench.hold(cut)
        await bench.write("CONTROL", RESET)
        bench.sink.pause = False
        await bench.receive(bench.cut_off(cut))
        await bench.idle()
        await bench.send(*bench.frames[:2])
        await bench.receive(*bench.expected[:2])

    # A second reset comes in every cycle around the one in which the last zeros are loaded.
    for delay in range(8 if result > 1 else 0):
        await bench.hold(result - 1)
        await bench.write("CONTROL", RESET)
        writing = cocotb.start_soon(bench.write("CONTROL", RESET))
        await ClockCycles(dut.aclk, 1 + delay)
        bench.sink.pause = False
        await writing
        await bench.receive(bench.cut_off(result - 1))
        await bench.idle()
        assert bench.sink.empty()

    # Two resets at any time, with pauses on both sides: the second may come while a result is
    # filled up.
    latency = bench.constants["PREDICTED_LATENCY"]
    for _ in range(max(4, min(60, 8000 // latency))):
        bench.pause(0.3, bench.random.choice([0.5, 0.9]), 0, 0, 0, 0, 0)
        await bench.send(*bench.frames[:3])
        await ClockCycles(dut.aclk, 1 + bench.random.randrange(2 * latency))
        await bench.write("CONTROL", RESET)
        await ClockCycles(dut.aclk, 1 + bench.random.randrange(6))
        await bench.write("CONTROL", RESET)
        bench.go_on()
        # The rest that the source still has begins in mid-frame.
        await bench.source.wait()
        await bench.write("CONTROL", RESET)
        await bench.idle()
        bench.sink.clear()
        await bench.send(bench.frames[1])
        await bench.receive(bench.expected[1])
    assert await bench.snapshot() == bench.observer.model.taken


@cocotb.test()
async def reset_of_everything(dut: Any) -> None:
    """A pulse of aresetn in mid-frame or mid-result discards frames, counters and requests."""
    bench = AxiBench(dut)
    for part in (0.3, 0.7, 1.0, 1.2):
        await bench.reset()
        bench.pause(0.2, 0.2, 0, 0, 0, 0, 0)
        await bench.send(*bench.frames)
        await bench.write("SCRATCH", 0xFFFFFFFF)
        await ClockCycles(dut.aclk, int(part * bench.constants["PREDICTED_LATENCY"]) + 1)
        await bench.reset(cycles=1)
        bench.go_on()
        status = fields(await bench.read("STATUS"))
        assert (status["BUSY"], status["IN_FLIGHT"], await bench.read("SCRATCH")) == (0, 0, 0)
        taken = await bench.snapshot()
        assert taken["FRAMES_IN"] == taken["OUT_STALLED"] == taken["LATENCY"] == 0
        await bench.send(*bench.frames[:2])
        await bench.receive(*bench.expected[:2])


@cocotb.test()
async def bad_addresses(dut: Any) -> None:
    """Addresses without a register get DECERR, writes to constants SLVERR, and nothing changes."""
    bench = AxiBench(dut)
    await bench.reset()
    await bench.send(*bench.frames[:2])
    values = {r.name: bench.constants[r.name] for r in IDENTITY}
    top = 1 << len(dut.s_axi_ctrl_awaddr)
    nowhere = [word for word in range(top // 4) if word not in READABLE]
    for word in [*sorted(READABLE - WRITABLE), *bench.random.sample(nowhere, 40), top // 4 - 1]:
        there = word in READABLE
        wrote = await bench.bus.write(4 * word, b"\xff\xff\xff\xff")
        assert wrote.resp == (AxiResp.SLVERR if there else AxiResp.DECERR), hex(4 * word)
        got = await bench.bus.read(4 * word, 4)
        assert got.resp == (AxiResp.OKAY if there else AxiResp.DECERR), hex(4 * word)
    for name, value in values.items():
        assert await bench.read(name) == value, name
    await bench.receive(*bench.expected[:2])
    assert bench.observer.resets == 0


@cocotb.test()
async def wrong_tlast(dut: Any) -> None:
    """Packets that are not frames are counted; frames are told by beats, so scores stay right."""
    bench = AxiBench(dut)
    await bench.reset()
    one, two, beat = bench.frames[0], bench.frames[1], bench.constants["IN_BYTES"]
    packets: list[tuple[list[bytes], tuple[int, int]]] = [
        ([one, two], (0, 0)),
        ([one + two], (0, 1)),
        ([one[:beat], one[beat:], two], (1, 0)),
        ([one[:beat], one[beat:] + two[:beat], two[beat:]], (2, 1)),
    ]
    if len(one) == beat:  # A frame of one beat: no tlast can be early.
        packets = packets[:2]
    for parts, errors in packets:
        await bench.send(*parts)
        await bench.receive(*bench.expected[:2])
        await bench.idle()
        taken = await bench.snapshot(CLEAR)
        assert (taken["TLAST_EARLY"], taken["TLAST_MISSING"]) == errors
        assert (taken["FRAMES_IN"], taken["FRAMES_OUT"]) == (2, 2)
