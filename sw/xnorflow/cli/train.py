"""``xnorflow train``: train a network with a method of the literature, and write it as ONNX."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from rich.text import Text

from xnorflow.cli import console
from xnorflow.cli.files import check_output
from xnorflow.cli.known_names import METHOD
from xnorflow.cli.options import json_option
from xnorflow.report.terminal import bare_table

if TYPE_CHECKING:
    from xnorflow.train.data_sets import DataSet
    from xnorflow.train.methods import Method
    from xnorflow.train.training import Epoch, Task, Training


@dataclass(frozen=True)
class Verdict:
    """The written file on the test images.

    Parameters
    ----------
    executor : str
        Name of the independent executor.
    accuracy, golden : float
        Share of the images that the executor and the golden model get right, 0 to 1.
    images : int
        Number of test images.
    order, ties : int
        Images for which the two order the scores differently, and those of them in which all such
        scores are equal in one of the two.
    labels : int
        Images for which the two give different labels.
    fixed_point : int or None
        Bits that the golden model was rounded to, if the file needs fixed point.
    """

    executor: str
    accuracy: float
    golden: float
    images: int
    order: int
    ties: int
    labels: int
    fixed_point: int | None

    @property
    def wrong(self) -> bool:
        """Whether the two contradict each other."""
        return self.fixed_point is None and self.order > self.ties


@click.command("train", short_help="Train a network with a method of the literature.")
@click.argument("method", type=METHOD, required=False)
@click.option("--list", "as_list", is_flag=True, help="Show all methods, and do nothing else.")
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="DATA",
    help="digits (shipped), an .npz with x_train, y_train, x_test and y_test, or with x and y, or a"
    " folder of PNG named CLASS_*.png.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE.onnx", help="File to write."
)
@click.option(
    "--net",
    metavar="LAYERS",
    help="Hidden layers as papers write them: 256-256, or 16C3-P2-32C3-P2-64 (convolutions to 16"
    " and 32 channels, pools, a dense layer). Of residual networks the channels of each stage:"
    " 16-32, or 16x3-32x3 with three blocks each; a stage has half the rows and columns of the one"
    " before.  [default: the method's, or the checkpoint's]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Passes over the training images.  [default: the method's, or the checkpoint's]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="S",
    help="Seed of everything drawn.  [default: 0, or the checkpoint's]",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N training images."
)
@click.option(
    "--shift",
    type=click.IntRange(min=0, max=16),
    metavar="PIXELS",
    help="Move every training image by up to so many pixels, anew in each epoch: more epochs are"
    " needed, and more test images become right.  [default: 0, or the checkpoint's]",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="File that is written after each epoch.  [default: beside the output, removed at the end]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Go on from a checkpoint, with the same method, data and limit.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    method: str | None,
    as_list: bool,
    data: str,
    output: Path | None,
    net: str | None,
    epochs: int | None,
    seed: int | None,
    limit: int | None,
    shift: int | None,
    checkpoint: Path | None,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Train a network with a method of the literature, and write it as ONNX.

    The file is imported again at once: an independent executor and the golden model classify all
    test images and have to order the scores alike. Methods with real weights or sums need fixed
    point: then the width is found on training images, which are kept in FILE.calibration.npz, and
    the labels that differ are counted. The same seed on the same machine writes the
    same file. After Ctrl-C, --resume goes on from the last whole epoch, to the same weights as
    without the interruption.

    \b
    Examples:
      xnorflow train --list
      xnorflow train bnn -o bnn.onnx
      xnorflow train bnn --data mnist.npz --net 32C3-P2-64C3-P2-128 \\
          --epochs 10 -o conv.onnx
      xnorflow train bi-real --data mnist.npz --net 16-32-64 \\
          --epochs 3 -o bireal.onnx
      xnorflow train bnn -o bnn.onnx --resume bnn.checkpoint.npz
    """
    from xnorflow.train.data_sets import read_data_set
    from xnorflow.train.fit import write_calibration, write_file
    from xnorflow.train.methods import find_method

    if as_list:
        _list(as_json)
        return
    if method is None or output is None:
        raise click.UsageError("give a method and a file to write with -o, or --list")
    chosen = find_method(method)
    check_output(output, "networks are", ".onnx")
    check_output(checkpoint, "checkpoints are", ".npz")
    images = read_data_set(data, limit)
    task = _task(chosen, images, resume, net, epochs, seed, shift)
    kept = checkpoint or output.with_suffix(".checkpoint.npz")
    before = time.monotonic()
    training, last = _fit(chosen, task, kept, resume)
    seconds = time.monotonic() - before
    write_file(training, chosen, task, output)
    if checkpoint is None:
        kept.unlink(missing_ok=True)
    calibration = output.with_suffix(".calibration.npz") if chosen.fixed_point else None
    if calibration is not None:
        write_calibration(images, calibration)
    verdict = _verdict(output, images, chosen, calibration)
    if as_json:
        console.print_json(
            {
                "method": chosen.name,
                "data": images.name,
                "net": task.net,
                "epochs": task.epochs,
                "seed": task.seed,
                "shift": task.shift,
                "seconds": round(seconds, 1),
                **vars(verdict),
                "notes": training.notes(),
            }
        )
    else:
        _show(chosen, task, last, seconds, verdict, training.notes())
        console.say(f"wrote {output}")
        following = ["xnorflow", "check", str(output), "--data", str(images.path), "--rtl", "4"]
        if calibration is not None and verdict.fixed_point is not None:
            following += ["--fixed-point", str(verdict.fixed_point)]
            following += ["--calibrate", str(calibration)]
        if chosen.with_edges:
            following.append("--with-edges")
        console.out.print(
            f"next: {shlex.join(following)}", highlight=False, markup=False, soft_wrap=True
        )
    ctx.exit(1 if verdict.wrong else 0)


def _task(
    method: Method,
    data: DataSet,
    resume: Path | None,
    net: str | None,
    epochs: int | None,
    seed: int | None,
    shift: int | None,
) -> Task:
    """Return what the user asked for; what is left out is the checkpoint's or the method's."""
    from xnorflow.train.checkpoints import read
    from xnorflow.train.training import Task

    if resume is not None:
        origin, _ = read(resume)
        net = origin.net if net is None else net
        epochs = epochs or origin.epochs
        seed = origin.seed if seed is None else seed
        shift = origin.shift if shift is None else shift
    net = method.net if net is None else net
    return Task(data, net, epochs or method.epochs, seed or 0, method.variant, shift or 0)


def _fit(
    method: Method, task: Task, checkpoint: Path, resume: Path | None
) -> tuple[Training, Epoch | None]:
    from xnorflow.train.fit import fit

    came_to: list[Epoch] = []
    try:
        with console.progress(f"training {method.name}") as tick:

            def epoch_done(done: int, total: int, epoch: Epoch) -> None:
                came_to.append(epoch)
                tick(done, total)

            training = fit(method, task, checkpoint=checkpoint, resume=resume, progress=epoch_done)
    except KeyboardInterrupt:
        if came_to or resume:
            where = checkpoint if came_to else resume
            console.err.print(
                f"the last whole epoch is kept; go on with: --resume {where}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        raise
    return training, came_to[-1] if came_to else None


def _verdict(path: Path, data: DataSet, method: Method, calibration: Path | None) -> Verdict:
    """Execute a written file on the test images, import it, and compare the two."""
    from xnorflow.api import in_fixed_point, load
    from xnorflow.evidence.executor import Executor
    from xnorflow.evidence.score_orders import compare_orders
    from xnorflow.frontend import read

    bits = None
    with console.working(f"importing {path.name}"):
        if method.fixed_point is None:
            net = load(path, edges=method.with_edges)
        else:
            rounded = in_fixed_point(read(path), method.fixed_point, calibration)
            net, bits = rounded.net, rounded.fixed.bits if rounded.fixed else None
        golden = net(data.x_test)
    executor = Executor(path)
    with console.progress(f"executing {path.name}") as tick:
        outside = executor.run(data.x_test, tick).scores
    orders = compare_orders(outside, golden)

    def right(scores: np.ndarray) -> float:
        return float((scores.argmax(1) == data.y_test).mean())

    return Verdict(
        executor.tool,
        right(outside),
        right(golden),
        len(golden),
        int(orders.order.sum()),
        int(orders.ties.sum()),
        int(orders.labels.sum()),
        bits,
    )


def _list(as_json: bool) -> None:
    from xnorflow.train.methods import METHODS

    if as_json:
        shown = ("name", "title", "paper", "net", "epochs")
        console.print_json([{name: getattr(m, name) for name in shown} for m in METHODS])
        return
    table = bare_table("", ("method", "what it is; where it was published; default net"))
    for m in METHODS:
        published = f"{m.paper}; {m.net or 'one layer'}"
        table.add_row(m.name, Text.assemble(m.title, "\n", (published, "dim")))
    console.show(table)


def _show(
    method: Method,
    task: Task,
    last: Epoch | None,
    seconds: float,
    verdict: Verdict,
    notes: tuple[str, ...],
) -> None:
    moved = f" moved by up to {task.shift} pixels" if task.shift else ""
    lines = [
        f"{method.title} ({method.paper})",
        f"{task.data.name}: {len(task.data.x_train):,} training images{moved}, {task.epochs}"
        f" epochs, seed {task.seed}, {seconds:.1f} s",
    ]
    if last is not None:
        lines.append(f"last epoch: loss {last.loss:.4f}, {last.accuracy:.2%} right while learning")
    lines.append(
        f"{verdict.executor}: {verdict.accuracy:.2%} of {verdict.images:,} test images right, with"
        " the weights of the file"
    )
    compared = "the order of all scores is the same in every image"
    if verdict.order:
        compared = (
            f"the order of scores differs in {verdict.order:,} images, in {verdict.ties:,} of"
        )
        compared += " them only where one of the two has equal scores"
    rounded = ""
    if verdict.fixed_point:
        rounded = f" in fixed point of {verdict.fixed_point} bits"
        compared = f"{verdict.labels:,} labels differ; {compared}"
    lines.append(f"golden model{rounded}: {verdict.golden:.2%}; {compared}")
    if task.data.held_out:
        lines.append("the test images are the first of every four of a class; none was trained on")
    for line in (*lines, *(f"note: {note}" for note in notes)):
        console.say(line)
