"""``xnorflow run``: run inference on a board, over its serial port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from xnorflow import ir
from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.options import edges_option, json_option, limit_option
from xnorflow.data import read_images
from xnorflow.design.design import Design
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.inputs import blaming, read_json, whole

BAUD = 1_000_000
"""Bits per second of the serial port that ``xnorflow build`` uses by default."""
SLACK = 0.3
"""Seconds of delay that adapters and the host's scheduling may cause."""


@click.command("run")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--port", required=True, metavar="P", help="Serial port, e.g. /dev/ttyUSB0.")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="IMAGES",
    help="An .npz with x and optional y, a .npy, or a folder of PNG.",
)
@click.option(
    "--baud",
    type=click.IntRange(min=1),
    metavar="N",
    help="Bits per second of the serial port, by default those that DIR was built for.",
)
@click.option("--rtscts", is_flag=True, help="Use RTS and CTS, which have to be connected.")
@limit_option
@edges_option
@click.option("--check", is_flag=True, help="Compare every score with the golden model's.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Seconds without an answer after which the link is restarted.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT.npz",
    help="Write scores and labels, and each output by name if there are several or a map.",
)
@json_option
def command(
    directory: Path,
    port: str,
    data: Path,
    baud: int | None,
    rtscts: bool,
    limit: int | None,
    edges: int | None,
    check: bool,
    timeout: float | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run images through the design that is loaded on a board.

    The board has to run the bitstream of DIR, which is checked by its digest before the first
    image. Images that are damaged on the line are sent again; if one never gets an answer, the
    exit code is 1.

    \b
    Examples:
      xnorflow run build/cnv --port /dev/ttyUSB0 --data cifar10.npz
      xnorflow run build/cnv --port /dev/ttyUSB0 --data cifar10.npz \\
          --check -o scores.npz
      xnorflow run build/trn --port /dev/ttyUSB0 --data digits.npz --edges 1
    """
    from xnorflow_boards.host.driver import Driver
    from xnorflow_boards.host.transport import SerialTransport
    from xnorflow_sim import golden

    check_output(output, "results are", ".npz")
    with console.working(f"reading {directory}"):
        design = Design.read(directory)
        digest = _digest(directory)
    images = read_images(data).first(limit)
    x = golden.frames(design.net, images.x)
    if not len(x):
        raise BadInput(f"{data} holds no images")
    face = design.interface
    payloads = face.pack(x).reshape(len(x), -1)
    counts = golden.enabled_edges(design.net, len(x), edges)
    if face.edges > 1:
        # The first byte of a message says how many edges its frame enables.
        payloads = np.concatenate([counts[:, None].astype(np.uint8), payloads], axis=1)
    result_bytes = face.out_beats * face.out_bytes

    if baud is None:
        baud = _baud(directory)
    if timeout is None:
        line = 10 * 2 * (payloads.shape[1] + result_bytes + 64) / baud
        timeout = SLACK + 4 * (line + (design.latency + design.ii) / (design.clock.mhz * 1e6))
    transport = SerialTransport(port, baud, flow=rtscts)
    try:
        driver = Driver(transport, timeout=timeout)
        known = driver.expect(digest, payloads.shape[1], result_bytes)
        with console.progress(f"frames on {port}") as tick:
            answers = driver.run(payloads, known, tick)
    finally:
        transport.close()
    answers.check()

    scores = face.unpack(answers.results.reshape(len(x), face.out_beats, face.out_bytes))
    result: dict[str, Any] = {
        "frames": len(x),
        "seconds": answers.seconds,
        "fps": len(x) / answers.seconds,
        "clock_mhz": known.clock_hz / 1e6,
        "sent_again": driver.statistics.lost,
    }
    if images.y is not None:
        result["accuracy"] = design.net.accuracy(scores, images.y)
    if check:
        with console.progress("golden model") as tick:
            expected = golden.run_frames(design.net, x, tick, counts)
        wrong = (scores != expected).any(axis=1)
        if wrong.any():
            raise CheckFailed(
                f"the board's scores of {int(wrong.sum())} of {len(x)} frames differ from the"
                f" golden model's, first in frame {int(wrong.argmax())}"
            )
        result["mismatches"] = 0
    if output is not None:
        net = design.net
        arrays = ir.result_arrays(net.in_file_shape(scores), net.labels_of(scores))
        with whole_file(output) as part:
            np.savez_compressed(part, allow_pickle=False, **arrays)
    if as_json:
        console.print_json(result)
    else:
        _report(result)


def _digest(directory: Path) -> str:
    """Return the digest of the design in a folder.

    Raises
    ------
    BadInput
        If an older version wrote the folder, which has no digest then.
    """
    digest = read_json(directory / "design.json", "a design").get("design_digest")
    if not isinstance(digest, str):
        raise BadInput(
            f"{directory} was compiled by an older version of xnorflow; compile the model again"
        )
    return digest


def _baud(directory: Path) -> int:
    """Return the baud rate that the bitstream in a folder was built for, or the default one."""
    path = directory / "build" / "build.json"
    if not path.exists():
        return BAUD
    content = read_json(path, "what xnorflow build wrote")
    with blaming(f"{path} is not what xnorflow build wrote"):
        baud = content["baud"]
        # A project for the maker's tools, and the accelerator alone, have no link to the host.
        if baud is None:
            return BAUD
        if whole(baud, "baud rate") < 1:
            raise ValueError(f"its baud rate is {baud}")
    return int(baud)


def _report(result: dict[str, Any]) -> None:
    console.say(
        f"{result['frames']:,} frames in {result['seconds']:.2f} s: {result['fps']:,.0f} frames/s"
        f" over the link, {result['sent_again']:,} sent again"
    )
    if "mismatches" in result:
        console.say("every score equals the golden model's", style="green")
    if result.get("accuracy") is not None:
        console.say(f"accuracy {100 * result['accuracy']:.2f} %")
