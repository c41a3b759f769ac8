"""Stage: its credit and its queue, proved for a sum of two streams at any stalls of all sides."""

import numpy as np
import pytest
from amaranth.hdl import Mux

from xnorflow_hw.spec import JoinSpec, PortSpec, StageSpec
from xnorflow_hw.spec.arrays import JoinedSpec
from xnorflow_hw.stage.stage import Stage

from .prover import Monitor, mutant, paths, prove, refuted

NUMBERS = 16
"""Results are numbered modulo this, which is more than any stage here holds."""
LATENCY = 5
"""Of a join and its array."""
DEPTHS = (1, 2, 3, 7)


def monitor(kind=Stage, depth=2):
    port = PortSpec(bits=2, lanes=1, words=1)
    array = JoinedSpec(
        op="sum",
        bits=(2, 2),
        factors=np.ones((1, 2, 1), np.int64),
        offsets=np.zeros((1, 2, 1), np.int64),
        out_bits=3,
        held=(False, False),
    )
    front = JoinSpec((port, port), height=1, width=1, words=1)
    dut = kind(StageSpec("sum", front, array, (), channels=1, queue_depth=depth))
    assert dut.latency == LATENCY
    f = Monitor(dut)
    issue = dut.i_0.valid & dut.i_0.ready
    arrives = f.past(issue, LATENCY)
    issued, left = (
        f.count(issue, NUMBERS, "issued"),
        f.count(dut.o.valid & dut.o.ready, NUMBERS, "left"),
    )
    arrived = f.count(arrives, NUMBERS, "arrived")
    on_their_way, waiting = (issued - left)[:4], (arrived - left)[:4]
    # Any one result.
    result = f.constant(4, "result")
    value = f.capture(issue & (issued == result), dut.i_0.payload + dut.i_1.payload, "value")
    place = (result - left)[:4]

    f.claim("keeps", f.keeps(dut.o))
    right = (place < waiting) & (dut.o.payload == value)
    f.claim("order", ~(dut.o.valid & (left == result)) | right)
    f.claim("offers", dut.o.valid == (waiting != 0))
    f.claim("capacity", on_their_way <= depth)
    f.claim("always a place", ~arrives | (waiting < depth))
    permit = on_their_way != depth
    f.claim("accepts_0", dut.i_0.ready == (permit & dut.i_1.valid))
    f.claim("accepts_1", dut.i_1.ready == (permit & dut.i_0.valid))

    f.lemma("on their way", f.register("on_their_way") == on_their_way)
    in_pipeline = sum(f.past(issue, cycle) for cycle in range(1, LATENCY + 1))
    f.lemma("in the pipeline", (issued - arrived)[:4] == in_pipeline)
    if depth > 1:
        consume = f.register("consume", "queue")
        produce = f.register("produce", "queue")

        def within(at):
            return Mux(at >= depth, at - depth, at)

        f.lemma("level", f.register("level", "queue") == waiting)
        f.lemma("places", (consume < depth) & (produce < depth))
        f.lemma("produce", produce == within(consume + waiting))
        entry = f.peek(within(consume + place), "queue", "storage")
        f.lemma("stored", (place >= waiting) | (entry == value))
    return f


@pytest.mark.parametrize("depth", DEPTHS)
def test_proved(depth):
    # As many cycles as a result needs to the queue, and one more: what was in the pipeline at
    # first is then in the queue.
    prove(monitor(depth=depth), k=LATENCY + 1)


MUTANTS = {
    "a permit too many": (
        2,
        "on_their_way != self.spec.queue_depth)",
        "on_their_way != self.spec.queue_depth + 1)",
        {"capacity", "accepts_0", "accepts_1", "always a place"},
    ),
    "a permit too early": (
        2,
        "on_their_way != self.spec.queue_depth)",
        "(on_their_way != self.spec.queue_depth) | self.o.ready)",
        {"accepts_0"},
    ),
    "frees nothing": (2, "buffer.o_issued - freed)", "buffer.o_issued)", {"accepts_0"}),
    "queue forgets": (2, "queue.r_en.eq(self.o.ready)", "queue.r_en.eq(1)", {"keeps", "offers"}),
    "queue keeps": (2, "queue.r_en.eq(self.o.ready)", "queue.r_en.eq(0)", {"offers", "order"}),
    "one place forgets": (1, "with m.Elif(self.o.ready):", "with m.Else():", {"keeps", "offers"}),
    "other values": (1, "i_data.eq(buffer.o_data)", "i_data.eq(~buffer.o_data)", {"order"}),
}


@pytest.mark.parametrize(("depth", "old", "new", "names"), MUTANTS.values(), ids=MUTANTS)
def test_mutants(depth, old, new, names):
    assert names <= refuted(monitor(mutant(Stage, old, new), depth), 12)


def test_every_claim_has_a_mutant():
    caught = set().union(*(names for *_, names in MUTANTS.values()))
    assert set(monitor().claims) == caught


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_ready_reaches_another(depth):
    assert paths(monitor(depth=depth)) == {"i_0.valid > i_1.ready", "i_1.valid > i_0.ready"}


def test_mutant_in_which_a_ready_reaches_another():
    _, old, new, _ = MUTANTS["a permit too early"]
    assert "o.ready > i_0.ready" in paths(monitor(mutant(Stage, old, new)))
