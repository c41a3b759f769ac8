"""The driver of a wrapped accelerator in cocotb: endpoints of cocotbext-axi, and an `Observer`.

The file that ``XNORFLOW_BENCH`` names has what `bench_accelerator` reads, and ``constants``: the
content of the registers that identify the design, as JSON.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from xnorflow_hw.axi.register_map import BY_NAME, CONTROL, COUNTERS, MEASUREMENTS
from xnorflow_sim.bench.axi_observer import Observer, fields, offset

PERIOD_NS = 10
SNAPSHOT = CONTROL["SNAPSHOT"].mask


class AxiBench:
    """A wrapped accelerator with masters and sinks at its ports, frames, and the results to expect.

    Parameters
    ----------
    dut : cocotb handle
        Wrapped accelerator.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        with np.load(os.environ["XNORFLOW_BENCH"], allow_pickle=False) as job:
            self.frames = [beats.tobytes() for beats in job["beats"]]
            self.expected = [beats.tobytes() for beats in job["expected"]]
            self.random = random.Random(int(job["seed"]))
            self.constants: dict[str, int] = json.loads(str(job["constants"]))
            self.edges = [int(count) for count in job["edges"]]
            idle_limit = int(job["idle_limit"])
        dut.aresetn.value = 0
        Clock(dut.aclk, PERIOD_NS, unit="ns").start()
        reset = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **reset)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_ctrl"), **reset)
        write, read = self.bus.write_if, self.bus.read_if
        self.channels = (
            self.source,
            self.sink,
            write.aw_channel,
            write.w_channel,
            write.b_channel,
            read.ar_channel,
            read.r_channel,
        )
        self.observer = Observer(dut, self.constants, idle_limit)

    async def reset(self, cycles: int = 4) -> None:
        """Pulse aresetn, and forget all transfers that were on their way."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, cycles)
        self.source.clear()
        self.sink.clear()
        self.dut.aresetn.value = 1
        await RisingEdge(self.dut.aclk)

    def pause(self, *probabilities: float) -> None:
        """Pause the channels at random, with one probability each.

        Their order is source, sink, AW, W, B, AR, R.
        """
        for channel, probability in zip(self.channels, probabilities, strict=True):
            channel.set_pause_generator(self._pauses(probability))

    def _pauses(self, probability: float) -> Iterator[bool]:
        while True:
            yield self.random.random() < probability

    def go_on(self) -> None:
        """End all pauses."""
        for channel in self.channels:
            channel.clear_pause_generator()
            channel.pause = False

    async def send(self, *packets: bytes) -> None:
        """Queue packets; each ends with tlast."""
        for packet in packets:
            await self.source.send(AxiStreamFrame(packet))

    async def receive(self, *expected: bytes) -> None:
        """Wait for results and check that they are the expected ones."""
        for place, scores in enumerate(expected):
            got = bytes(await self.sink.recv())
            assert got == scores, f"result {place} is {got.hex()}, expected {scores.hex()}"

    async def read(self, name: str) -> int:
        """Return the content of a register of any length."""
        words = BY_NAME[name].words if name in BY_NAME else 1
        answer = await self.bus.read(offset(name), 4 * words)
        assert answer.resp == AxiResp.OKAY, f"{name}: {answer.resp}"
        return int.from_bytes(answer.data, "little")

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        answer = await self.bus.write(offset(name), value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY, f"{name}: {answer.resp}"

    async def snapshot(self, also: int = 0) -> dict[str, int]:
        """Take a snapshot and return all of its registers by name.

        `also` has further bits to set in the control register.
        """
        await self.write("CONTROL", SNAPSHOT | also)
        return {r.name: await self.read(r.name) for r in (*COUNTERS, *MEASUREMENTS)}

    async def hold(self, cut: int) -> None:
        """Send a frame, and stop its result when its beat number `cut` is offered.

        The beginning of another frame follows it into the accelerator.
        """
        before = self.observer.offered
        self.sink.pause = True
        await self.send(self.frames[0], self.frames[-1][: -self.constants["IN_BYTES"]])
        while self.observer.offered - before < cut:
            self.sink.pause = self.observer.offered == before
            await RisingEdge(self.dut.aclk)
            self.sink.pause = True
            await ClockCycles(self.dut.aclk, 4)
        await self.source.wait()
        assert self.observer.offered - before == cut

    def cut_off(self, cut: int) -> bytes:
        """Return the first frame's result with zeros behind its beat number `cut`."""
        size = len(self.expected[0])
        real = cut * size // self.constants["RESULT_BEATS"]
        return self.expected[0][:real] + bytes(size - real)

    async def idle(self) -> None:
        """Wait until the status says that no frame is on its way."""
        while fields(await self.read("STATUS"))["BUSY"]:
            pass
