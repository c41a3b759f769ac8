"""Check what has to be true of an `AcceleratorSpec` after every pass."""

from __future__ import annotations

from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    GearboxSpec,
    JoinedSpec,
    JoinSpec,
    StageSpec,
    StretchSpec,
)


def verify_spec(spec: AcceleratorSpec) -> None:
    """Check that each part sends exactly the stream that the next one expects.

    Raises
    ------
    AssertionError
        If it does not. The message names the stage. The fault is in a pass, never in user input.
    """
    names = [s.name for s in spec.stages]
    _need(len(set(names)) == len(names), spec.name, f"two stages share a name: {names}")
    order = [(s.sink, s.port) for s in spec.streams]
    _need(order == sorted(set(order)), spec.name, "its streams are not in order")
    _need(order[-1] == (len(names), 0), spec.name, "nothing leads to its output")
    for k in range(len(names) + 1):
        name = spec.stages[k - 1].name if k else "input"
        _need(any(s.source == k for s in spec.streams), name, "nothing reads what it sends")
    sent = [(spec.input.group, spec.input.lanes, spec.input.bits)]
    for k, stage in enumerate(spec.stages):
        arriving = [s for s in spec.streams if s.sink == k]
        for stream in arriving:
            _need(stream.source <= k, stage.name, "it reads what comes after it")
            box = stream.box
            came = (box.group_in, box.lanes_in, box.bits)
            _need(came == sent[stream.source], stage.name, "its gearbox takes another stream")
            _need(stream.queue >= 0, stage.name, "the depth of a queue is negative")
        _stage(stage, [stream.box for stream in arriving])
        sent.append((stage.channels, stage.lanes_out, stage.out_bits))
    last = spec.streams[-1]
    box, bits = last.box, sent[-1][2]
    _need(
        (box.group_in, box.lanes_in, box.bits, box.lanes_out)
        == (*sent[last.source], spec.out_lanes),
        spec.name,
        "the output's gearbox takes another stream",
    )
    _need(box.group_out == spec.classes, spec.name, "a frame's scores are another number")
    if spec.scores is not None:
        unit = spec.scores
        _need(
            (unit.in_bits, unit.lanes, unit.beats) == (bits, spec.out_lanes, spec.output_beats),
            spec.name,
            "the unit of scores takes another stream",
        )
        bits = unit.out_bits
    _need(spec.score_bits >= bits, spec.name, "scores are wider than the output stream")


def _stage(stage: StageSpec, boxes: list[GearboxSpec]) -> None:
    """Check that a stage takes what its gearboxes send, and that its parts fit together."""
    front, a = stage.buffer, stage.array
    widths = [box.lanes_out * box.bits for box in boxes]
    _need(stage.queue_depth >= 1, stage.name, "a depth is not positive")
    _need(a.pixels == front.pixels, stage.name, "array and buffer differ in pixels at once")
    match front:
        case BufferSpec():
            _need([front.word_bits] == widths, stage.name, "its words have another width")
            _need(front.depth >= 1, stage.name, "a depth is not positive")
            _need(
                a.weight_words in (0, front.repeat * front.beats_per_reduction),
                stage.name,
                "its weights are not a word per beat",
            )
            fit = all(tail.rows == front.rows for tail in stage.tails)
            _need(fit, stage.name, "a tail has constants for other rows")
        case StretchSpec():
            _need([front.word_bits] == widths, stage.name, "its words have another width")
            _need(front.depth >= 1, stage.name, "a depth is not positive")
        case JoinSpec():
            _need(
                [port.word_bits for port in front.ports] == widths,
                stage.name,
                "its ports have another width",
            )
        case other:
            raise AssertionError(f"{stage.name}: {type(other).__name__} is no front")
    if isinstance(front, BufferSpec):
        return
    _need(isinstance(a, JoinedSpec), stage.name, "its array joins nothing")
    assert isinstance(a, JoinedSpec)
    frame = front.output[0] * front.output[1] * front.rows
    _need(a.factors.shape[1] == len(boxes), stage.name, "its array has other ports")
    for constants in (a.factors, a.offsets):
        rows = len(constants)
        _need(rows in (1, front.rows, frame), stage.name, "its constants are for no beats")


def _need(truth: bool, where: str, what: str) -> None:
    if not truth:
        raise AssertionError(f"{where}: {what}")
