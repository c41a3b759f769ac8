"""Check what has to be true of an `AcceleratorSpec` after every pass."""

from __future__ import annotations

from xnorflow_hw.spec import AcceleratorSpec


def verify_spec(spec: AcceleratorSpec) -> None:
    """Check that each part sends exactly the stream that the next one expects.

    Raises
    ------
    AssertionError
        If it does not. The message names the stage. The fault is in a pass, never in user input.
    """
    names = [s.name for s in spec.stages]
    _need(len(set(names)) == len(names), spec.name, f"two stages share a name: {names}")
    _need(len(spec.gearboxes) == len(names) + 1, spec.name, "a gearbox is missing")
    group, lanes, bits = spec.input.group, spec.input.lanes, spec.input.bits
    for stage, box in zip(spec.stages, spec.gearboxes, strict=False):
        b, a = stage.buffer, stage.array
        came = (box.group_in, box.lanes_in, box.bits)
        _need(came == (group, lanes, bits), stage.name, "its gearbox takes another stream")
        _need(b.word_bits == box.lanes_out * box.bits, stage.name, "its words have another width")
        _need(b.depth >= 1 and stage.queue_depth >= 1, stage.name, "a depth is not positive")
        _need(a.pixels == b.pixels, stage.name, "array and buffer differ in pixels at once")
        _need(
            a.weight_words in (0, b.repeat * b.beats_per_reduction),
            stage.name,
            "its weights are not a word per beat",
        )
        group, lanes, bits = stage.channels, stage.lanes_out, stage.out_bits
    last = spec.gearboxes[-1]
    _need(
        (last.group_in, last.lanes_in, last.bits, last.lanes_out)
        == (group, lanes, bits, spec.out_lanes),
        spec.name,
        "the output's gearbox takes another stream",
    )
    if spec.scores is not None:
        unit = spec.scores
        _need(
            (unit.in_bits, unit.lanes, unit.beats) == (bits, spec.out_lanes, spec.output_beats),
            spec.name,
            "the unit of scores takes another stream",
        )
        bits = unit.out_bits
    _need(spec.score_bits >= bits, spec.name, "scores are wider than the output stream")


def _need(truth: bool, where: str, what: str) -> None:
    if not truth:
        raise AssertionError(f"{where}: {what}")
