"""cocotb testbench of a whole accelerator, which sends frames and checks every output beat.

``cocotb_bench.py`` launches it. The file that ``XNORFLOW_BENCH`` names has ``beats`` uint8
[N, in_beats, in_lanes], ``expected`` uint8 [N, out_beats, out_bytes], ``seed`` and ``idle_limit``.
Inputs change on the falling edge of the clock; the rising edge transfers.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from numpy.typing import NDArray

PERIOD_NS = 10


class Bench:
    """An accelerator with the frames that it gets and the beats that it has to answer.

    Parameters
    ----------
    dut : cocotb handle
        Accelerator.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        with np.load(os.environ["XNORFLOW_BENCH"], allow_pickle=False) as job:
            self.beats = [_words(frame) for frame in job["beats"]]
            self.expected = [_words(frame) for frame in job["expected"]]
            self.random = random.Random(int(job["seed"]))
            self.idle_limit = int(job["idle_limit"])
        self.mask = (1 << len(dut.s_axis_tdata)) - 1
        Clock(dut.clk, PERIOD_NS, unit="ns").start()

    async def reset(self, cycles: int = 4) -> None:
        """Pulse the reset with both streams idle."""
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.rst.value = 1
        dut.s_axis_tvalid.value = 0
        dut.m_axis_tready.value = 0
        for _ in range(cycles):
            await FallingEdge(dut.clk)
        dut.rst.value = 0

    async def run(
        self,
        frames: range,
        *,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        stop_after: tuple[int, int] | None = None,
    ) -> None:
        """Send frames back to back and check every beat of the answers.

        Parameters
        ----------
        frames : range
            Numbers of the frames to send.
        stall_in, stall_out : float
            Probability that the sender offers nothing, or the receiver is not ready, in a cycle.
        stop_after : (int, int), optional
            Numbers of input and output beats after which to return, in the middle of a frame.

        Raises
        ------
        AssertionError
            If a beat is wrong, changes before it is accepted or should not be there, or if no beat
            passes either stream for `idle_limit` cycles.
        """
        dut, draw = self.dut, self.random.random
        words = [word for n in frames for word in self.beats[n]]
        answers = [(n, i, word) for n in frames for i, word in enumerate(self.expected[n])]
        last = len(self.expected[0]) - 1
        goal = stop_after or (len(words), len(answers))
        sent = got = idle = 0
        offered = False
        held: tuple[int, bool] | None = None
        while sent < goal[0] or got < goal[1]:
            # An idle input carries the complement of the next word, which must not matter.
            if not offered:
                offered = sent < len(words) and draw() >= stall_in
                word = words[sent] if sent < len(words) else 0
                dut.s_axis_tdata.value = word if offered else word ^ self.mask
                dut.s_axis_tvalid.value = int(offered)
            ready = draw() >= stall_out
            dut.m_axis_tready.value = int(ready)

            await RisingEdge(dut.clk)
            idle += 1
            if offered and dut.s_axis_tready.value == 1:
                sent, offered, idle = sent + 1, False, 0
            if dut.m_axis_tvalid.value == 1:
                beat = int(dut.m_axis_tdata.value), dut.m_axis_tlast.value == 1
                assert held is None or beat == held, (
                    f"the beat changed from {held} to {beat} before it was accepted"
                )
                held = None if ready else beat
                if ready:
                    assert got < len(answers), f"a beat {beat[0]:#x} after the last frame's end"
                    self.check(answers[got], beat, last)
                    got, idle = got + 1, 0
            else:
                assert held is None, "m_axis_tvalid fell before the beat was accepted"
            assert idle <= self.idle_limit, (
                f"stuck for {idle} cycles after {sent} input beats and {got} output beats"
            )
            await FallingEdge(dut.clk)

    def check(self, answer: tuple[int, int, int], beat: tuple[int, bool], last: int) -> None:
        """Check the data and tlast of one output beat."""
        frame, index, word = answer
        where = f"frame {frame}, beat {index}"
        assert beat[0] == word, f"{where}: m_axis_tdata is {beat[0]:#x}, expected {word:#x}"
        assert beat[1] == (index == last), f"{where}: m_axis_tlast is {beat[1]:d}"

    @property
    def all(self) -> range:
        """Numbers of all frames."""
        return range(len(self.beats))


def _words(frame: NDArray[np.uint8]) -> list[int]:
    """Return the beats of a frame as integers, with the first byte in the lowest bits."""
    return [int.from_bytes(beat.tobytes(), "little") for beat in frame]


@cocotb.test()
async def one_by_one(dut: Any) -> None:
    """Each frame enters an empty accelerator."""
    bench = Bench(dut)
    await bench.reset()
    for frame in bench.all:
        await bench.run(range(frame, frame + 1))


@cocotb.test()
async def back_to_back(dut: Any) -> None:
    """Frames follow each other without a gap, at full speed on both sides."""
    bench = Bench(dut)
    await bench.reset()
    await bench.run(bench.all)


@cocotb.test()
async def both_sides_stalled(dut: Any) -> None:
    """Sender and receiver hold back in random cycles: rarely, often, or only one of them."""
    bench = Bench(dut)
    for stall_in, stall_out in ((0.1, 0.1), (0.5, 0.5), (0.0, 0.8), (0.8, 0.0)):
        await bench.reset()
        await bench.run(bench.all, stall_in=stall_in, stall_out=stall_out)


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """A reset discards a frame that is half in, or whose result is half out."""
    bench = Bench(dut)
    await bench.reset()
    beats, answers = len(bench.beats[0]), len(bench.expected[0])
    again = min(2, len(bench.all))
    for stop_after in (((beats + 1) // 2, 0), (beats, 0), (0, answers // 2 + 1)):
        await bench.run(bench.all, stop_after=stop_after)
        await bench.reset(cycles=1)
        await bench.run(bench.all[:again])


@cocotb.test()
async def nothing_follows(dut: Any) -> None:
    """After the last frame the output stays silent and the input still takes frames."""
    bench = Bench(dut)
    await bench.reset()
    await bench.run(bench.all[:1])
    dut.m_axis_tready.value = 1
    for _ in range(64):
        await RisingEdge(dut.clk)
        assert dut.m_axis_tvalid.value == 0, "a beat that no frame asked for"
    await FallingEdge(dut.clk)
    await bench.run(bench.all[:1])
