"""The driver against the model of the board over a line that fails in every way.

The line is simulated in virtual time, so every example is exact and repeatable.
"""

import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_hw.link.link_spec import LinkSpec
from xnorflow_sim.board.faults import FaultRates

from .wire import DIGEST, FRAME, RESULT, SPEC, Wire, frames, old_board, results

rate = st.sampled_from([0.0, 0.0, 0.0005, 0.003, 0.02])
moments = st.lists(st.integers(20, 6000), max_size=4).map(sorted)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch):
    """Replace sleep, which only waits for a device that is gone; the wires keep their own time."""
    monkeypatch.setattr("xnorflow_boards.host.driver.time.sleep", lambda seconds: None)


def driver_of(wire, **options):
    return Driver(wire, clock=wire.clock, timeout=0.5, **options)


def check(x, answers):
    """Check that no answer is wrong, and return the number of missing ones."""
    wrong = (answers.results != results(x)).any(axis=1) & answers.answered
    assert not wrong.any()
    return int((~answers.answered).sum())


@settings(max_examples=200)
@given(
    rates=st.builds(FaultRates, rate, rate, rate, rate),
    seed=st.integers(0, 1 << 30),
    resets=moments,
    pulls=moments,
    count=st.integers(0, 60),
    piece=st.sampled_from([1, 7, 300]),
)
def test_every_frame_is_answered_rightly_or_reported(rates, seed, resets, pulls, count, piece):
    wire = Wire(seed=seed, resets=resets, pulls=pulls, piece=piece, silence=0.7)
    driver = driver_of(wire)
    known = driver.identify()
    # Damage begins once the board is known, so that every example gets to the frames.
    wire.to.rates = wire.back.rates = rates
    wire.to._gap, wire.back._gap = wire.to._draw(), wire.back._draw()
    x = frames(count, seed)
    done = []
    answers = driver.run(x, known, lambda n, total: done.append((n, total)))
    missing = check(x, answers)
    assert missing == 0 or rates.total > 0.005
    assert done == sorted(done)
    assert not done or done[-1] == (count - missing, count)


def test_a_clean_line_needs_nothing_twice():
    wire = Wire()
    driver = driver_of(wire)
    x = frames(300)
    assert check(x, driver.run(x, driver.identify())) == 0
    s = driver.statistics
    assert (s.sent, s.lost, s.sessions, s.stray, s.broken) == (300, 0, 1, 0, 0)


def test_sequence_numbers_may_run_over():
    wire = Wire(piece=4000)
    driver = driver_of(wire)
    x = np.tile(frames(100), (700, 1))
    wire.board.accelerator = lambda frame: frame[:RESULT]
    answers = driver.run(x, driver.identify())
    assert answers.answered.all()
    assert (answers.results == x[:, :RESULT]).all()


def test_a_lost_frame_is_sent_again_before_any_timeout():
    wire = Wire()
    driver = driver_of(wire)
    known = driver.identify()
    feed, count = wire.board.feed, iter(range(10_000))
    wire.board.feed = lambda data: feed(data if next(count) else data[:50] + data[70:])
    x = frames(50)
    assert check(x, driver.run(x, known)) == 0
    assert driver.statistics.sessions == 1
    assert 1 <= driver.statistics.lost <= 3
    assert wire.now < 0.5


def test_a_reset_board_is_noticed_before_any_timeout():
    wire = Wire(resets=[900])
    driver = driver_of(wire)
    x = frames(100)
    assert check(x, driver.run(x, driver.identify())) == 0
    assert driver.statistics.sessions == 2
    assert wire.now < 0.5


def test_a_device_that_goes_and_comes_back_is_opened_again():
    wire = Wire(pulls=[900], silence=1.2, gone=True)
    driver = driver_of(wire)
    wire.reopen, opened = _later(wire), wire.reopen
    wire.opened = opened
    x = frames(100)
    assert check(x, driver.run(x, driver.identify())) == 0
    assert wire.reopened >= 2


def _later(wire):
    def reopen():
        wire.now += 0.5
        wire.opened()

    return reopen


def test_frames_are_reported_when_the_board_is_gone_for_good():
    wire = Wire(pulls=[900], silence=1e9)
    driver = driver_of(wire)
    x = frames(100)
    answers = driver.run(x, driver.identify())
    missing = check(x, answers)
    assert 0 < missing < 100
    with pytest.raises(CheckFailed, match=f"{missing} of 100 frames were not answered"):
        answers.check()


def test_a_frame_that_never_gets_through_does_not_hold_up_the_others():
    wire = Wire()
    driver = driver_of(wire, attempts=5)
    known = driver.identify()
    x = frames(40)
    cursed, feed = x[17].tobytes(), wire.board.feed

    def lossy(data):
        return feed(data.replace(cursed, b""))

    wire.board.feed = lossy
    answers = driver.run(x, known)
    check(x, answers)
    assert np.flatnonzero(~answers.answered).tolist() == [17]
    with pytest.raises(CheckFailed, match=r"1 of 40 frames were not answered \(frames 17\)"):
        answers.check()


def loading(wire, begin, end, failed=False):
    """Make a board load its weights between two times."""
    feed = wire.board.feed

    def late(data):
        wire.board.ready = not begin <= wire.now < end
        wire.board.failed = failed
        return feed(data)

    wire.board.feed = late


@pytest.mark.parametrize("failed", [False, True])
def test_a_board_that_loads_its_weights_is_waited_for(failed):
    wire = Wire()
    loading(wire, 0.0, 0.4, failed)
    driver = driver_of(wire)
    known = driver.identify()
    assert 0.4 <= wire.now < 0.5 and known.window == SPEC.window
    x = frames(20)
    assert check(x, driver.run(x, known)) == 0


def test_a_board_that_loads_its_weights_again_on_the_way_is_waited_for():
    wire = Wire(resets=[900])
    driver = driver_of(wire, attempts=3)
    known = driver.identify()
    reset = wire.board.reset

    def again():
        reset()
        loading(wire, wire.now, wire.now + 0.3)

    wire.board.reset = again
    x = frames(100)
    assert check(x, driver.run(x, known)) == 0
    assert driver.statistics.sessions > 2


@pytest.mark.parametrize("failed", [False, True])
def test_a_board_that_never_loads_its_weights(failed):
    wire = Wire()
    loading(wire, 0.0, 1e9, failed)
    with pytest.raises(CheckFailed, match="cannot load its weights.* program DIR --flash"):
        driver_of(wire).identify()
    assert 2 <= wire.now < 3


def test_what_another_host_left_behind_does_not_matter():
    wire = Wire()
    first = driver_of(wire)
    first.identify()
    x = frames(20)
    # Killed in the middle of a frame, with answers still on their way.
    from xnorflow_boards.host.protocol import encode

    left = b"".join(encode(2, first._session, n, f.tobytes()) for n, f in enumerate(frames(9, 5)))
    wire.write(left[:-11])
    second = driver_of(wire)
    assert check(x, second.run(x, second.identify())) == 0


def test_nothing_on_the_port():
    wire = Wire()
    wire.silent_until = 1e9
    with pytest.raises(CheckFailed, match="no xnorflow board answers on the port"):
        driver_of(wire).identify()


def test_another_version_another_design_another_geometry():
    with pytest.raises(CheckFailed, match="speaks version 0 of the link protocol"):
        driver_of(Wire(spec=old_board())).identify()
    driver = driver_of(Wire())
    with pytest.raises(CheckFailed, match=f"another design: its digest is {DIGEST.hex()}"):
        driver.expect("ab" * 32, FRAME, RESULT)
    with pytest.raises(CheckFailed, match="takes 12 bytes and gives 6"):
        driver.expect(DIGEST.hex() + "00" * 16, FRAME + 1, RESULT)
    assert driver.expect(DIGEST.hex() + "00" * 16, FRAME, RESULT).window == SPEC.window


def test_a_board_that_is_loaded_with_another_design_on_the_way():
    wire = Wire(resets=[900])
    driver = driver_of(wire)
    known = driver.identify()
    reset, other = wire.board.reset, LinkSpec(1, FRAME, 1, RESULT, digest=bytes(16))

    def load():
        reset()
        wire.board.identity = other.identity

    wire.board.reset = load
    with pytest.raises(CheckFailed, match="the board changed during the run"):
        driver.run(frames(100), known)


def test_a_port_that_is_not_there():
    pytest.importorskip("serial")
    with pytest.raises(BadInput, match="cannot open the port /dev/there-is-none"):
        SerialTransport("/dev/there-is-none", 115200)


def test_without_pyserial(monkeypatch):
    there = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "serial":
            raise ImportError("No module named 'serial'")
        return there(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolMissing, match=r"needs pyserial: pip install .*\[boards\]"):
        SerialTransport("/dev/ttyUSB0", 115200)
