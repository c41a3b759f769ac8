"""``xnorflow inspect``: show what is in a model, or why it cannot be mapped."""

from __future__ import annotations

from math import ceil, prod
from pathlib import Path
from typing import Any

import click

from xnorflow import ir
from xnorflow.cli import console
from xnorflow.cli.options import (
    ReadingOptions,
    board_options,
    input_options,
    json_option,
    load_model,
    model_argument,
)
from xnorflow.devices.figure import compact
from xnorflow.devices.links import FrameBytes, links
from xnorflow.devices.tables import fpgas
from xnorflow.evidence.sample_range import sample_range
from xnorflow.graph.input_scale import InputScale
from xnorflow.plan.arrays.edge_array import factor_bits, shared_channels
from xnorflow.plan.buildable import check_buildable
from xnorflow.plan.tail_choice import GENERIC
from xnorflow.report.terminal import bare_table
from xnorflow.resources.score_form import ScoreForm, inspected


def _row(layer: ir.Layer, inp: ir.Features, out: ir.Features) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.kind,
        "input_shape": inp.shape,
        "output_shape": out.shape,
        "input_alphabet": str(inp.alphabet),
        "output_alphabet": str(out.alphabet),
        "nodes": layer.sources,
    }
    window = getattr(layer, "window", None)
    if window is not None:
        row |= {
            "kernel": window.kernel,
            "stride": window.stride,
            "dilation": window.dilation,
            "pads": window.pads,
        }
    for name in ("factors", "fill", "crop", "axis"):
        if hasattr(layer, name):
            row[name] = getattr(layer, name)
    if isinstance(layer, ir.Maximum):
        row["minimum"] = layer.minimum
    if isinstance(layer, ir.Conv):
        row |= {
            "pad_value": layer.pad_value if any(layer.window.pads) else None,
            "groups": layer.groups,
            "weight_alphabet": str(layer.alphabet),
            "macs": layer.operations * out.height * out.width,
            "weight_bits": layer.weights.size * layer.alphabet.bits,
        }
        if layer.edges is not None:
            # Two bits for each ternary weight, and a factor for each run of channels.
            runs = ceil(layer.weights.shape[3] / shared_channels(layer))
            factors = layer.edges.size // layer.weights.shape[3] * runs
            row["edges"] = layer.edge_count
            row["weight_bits"] = 2 * layer.edges.size + factors * factor_bits(layer)
    if isinstance(layer, ir.Gather):
        row |= {
            "pad_value": layer.pad_value if any(layer.window.pads) else None,
            "tables": layer.tables,
            "words": layer.words,
            "lookups": layer.lookups * out.size,
            "weight_bits": layer.indices.size * layer.index_bits,
        }
    return row


def _window(row: dict[str, Any]) -> str:
    if "axis" in row:
        return ("rows", "columns", "channels")[row["axis"]]
    if "fill" in row:
        crop = f" crop {','.join(map(str, row['crop']))}" if any(row["crop"]) else ""
        return f"{'x'.join(map(str, row['factors']))} {row['fill']}{crop}"
    if row.get("minimum"):
        return "minimum"
    groups = f" in {row['groups']} groups" if row.get("groups", 1) > 1 else ""
    if "kernel" not in row or row["output_shape"][:2] == row["input_shape"][:2] == (1, 1):
        return groups.lstrip()
    text = "x".join(map(str, row["kernel"]))
    if row["stride"] != (1, 1):
        text += f" /{'x'.join(map(str, row['stride']))}"
    if row["dilation"] != (1, 1):
        text += f" dil {'x'.join(map(str, row['dilation']))}"
    if any(row["pads"]):
        value = row.get("pad_value")
        pads = row["pads"]
        text += f" pad {','.join(map(str, pads if len(set(pads)) > 1 else pads[:1]))}"
        text += f" of {value:+d}" if value else " of 0" if value is not None else ""
    return text + groups


def _scores_json(scores: tuple[ScoreForm, ...]) -> dict[str, Any]:
    """Return how scores are computed; of several layers, each on its own in `layers`."""
    family = {"family": fpgas()[GENERIC].family.name}
    if len(scores) == 1:
        return {**vars(scores[0]), **family}
    return {"layers": [vars(found) for found in scores], **family}


def _frame_bytes(net: ir.LayerGraph, scores: tuple[ScoreForm, ...]) -> FrameBytes:
    """Return the bytes of a frame and of its scores, without the unused lanes of wide beats."""
    samples = 1 if net.samples.alphabet.bits <= 8 else 2
    whole = ceil(max(found.bits for found in scores) / 8)
    return FrameBytes(samples * prod(net.shape), whole * net.score_count)


def _takes(model: Path, input_scale: str) -> str | None:
    """Return in words what a model does to a sample; None for one that is lowered and says it."""
    lowered = model.is_dir() or model.suffix == ".npz"
    return None if lowered else str(InputScale.of(input_scale))


@click.command("inspect", short_help="Show what is in a model, or why it cannot be mapped.")
@model_argument
@input_options
@click.option("--passes", is_flag=True, help="Show what each pass does, down to the hardware.")
@board_options("With --passes: the board to plan the hardware for.")
@json_option
def command(
    model: Path,
    reading: ReadingOptions,
    passes: bool,
    board: str | None,
    as_json: bool,
) -> None:
    """Show a model's layers, shapes, alphabets, padding, operations and weight bits.

    If the model cannot be mapped exactly, the message names the node, the reason and what would
    work.

    \b
    Examples:
      xnorflow inspect cnv.onnx
      xnorflow inspect tfc.onnx --input-scale 1/255 --json
      xnorflow inspect build/cnv
      xnorflow inspect cnv.onnx --passes --board ulx3s-85f
    """
    if board is not None and not passes:
        raise click.UsageError("--board goes with --passes")
    net = load_model(model, reading)
    with console.working("looking for hardware"):
        check_buildable(net)
    if passes:
        from xnorflow.cli import pass_list

        with console.working("lowering and planning"):
            found = list(
                pass_list.reports(
                    model,
                    net,
                    board,
                    reading,
                )
            )
        if as_json:
            console.print_json({"name": net.name, "passes": [r._asdict() for r in found]})
        else:
            pass_list.show(found)
        return
    rows = [_row(*step) for step in net]
    names = ["x", *(layer.name for layer in net.layers)]
    for row, reads in zip(rows, net.reads, strict=True):
        row["reads"] = [names[k] for k in reads]
    known = sample_range(net)
    scores = inspected(net, fpgas()[GENERIC].family)
    frame = _frame_bytes(net, scores)
    total = {
        "macs": sum(r.get("macs", 0) for r in rows),
        "lookups": sum(r.get("lookups", 0) for r in rows),
        "weight_bits": sum(r.get("weight_bits", 0) for r in rows),
    }
    if as_json:
        console.print_json(
            {
                "name": net.name,
                "digest": net.digest,
                "input_shape": net.shape,
                "input": net.input_order.describe(net.shape),
                "samples": str(net.samples),
                "takes": _takes(model, reading.input_scale),
                "told_apart": None if known is None else [known.low, known.high],
                "bytes_per_frame": {"to_board": frame.sent, "to_host": frame.returned},
                "links": {
                    name: {"fps": x.fps(frame), "source": x.source.document}
                    for name, x in links().items()
                },
                "classes": net.classes,
                "notes": net.notes,
                "layers": rows,
                "scores": _scores_json(scores),
                "outputs": {o.name: o.shape for o in net.outputs},
                **total,
            }
        )
        return
    _show(net, rows, total, scores, frame, _takes(model, reading.input_scale))


def _show(
    net: ir.IntegerNetwork,
    rows: list[dict[str, Any]],
    total: dict[str, int],
    scores: tuple[ScoreForm, ...],
    frame: FrameBytes,
    takes: str | None,
) -> None:
    """Print the layers, and below them what goes in, what comes out and what links carry."""
    lookups = f" and {total['lookups']:,} lookups" if total["lookups"] else ""
    columns = ["layer", "window", "output", "values", "weights"]
    if not net.chain:
        columns.insert(1, "reads")
    numbers = ("MAC", "weight\nbits")
    table = bare_table(
        f"{net.name}: {total['macs']:,} multiply-accumulates{lookups} a frame,"
        f" {total['weight_bits']:,} weight bits",
        (*columns, *numbers),
        numbers,
        ("layer", "output", "values", "weights"),
    )
    for k, r in enumerate(rows):
        # The map before a layer goes without saying.
        read = "" if net.reads[k] == (k,) else ", ".join(r["reads"])
        table.add_row(
            r["name"],
            *([] if net.chain else [read]),
            _window(r),
            "x".join(map(str, r["output_shape"])),
            r["output_alphabet"].strip("{}"),
            f"{r['tables']} x {r['words']}"
            if "words" in r
            else r.get("weight_alphabet", "").strip("{}"),
            f"{r['lookups']:,} lookups"
            if "lookups" in r
            else f"{r['macs']:,}"
            if "macs" in r
            else "",
            f"{r['weight_bits']:,}" if "weight_bits" in r else "",
        )
    console.show_table(table)
    known = sample_range(net)
    console.item(
        "input",
        f"x: {net.samples} {net.input_order.describe(net.shape)}"
        + (f"; the model takes {takes}" if takes else "")
        + (f"; its first layer tells samples from {known} apart" if known else ""),
    )
    carried = "; ".join(f"{compact(x.fps(frame))} by {x.title}" for x in links().values())
    console.item(
        "frame", f"a frame has {frame.sent:,} bytes and its scores {frame.returned:,} bytes"
    )
    console.item("links", f"frames/s that links carry: {carried}")
    for layer, form in zip(net.score_layers, scores, strict=True):
        what, sums = "scores", "the last layer's sums"
        if len(scores) > 1:
            what, sums = layer.name, "the sums before them"
        console.item(
            "scores" if layer is net.score_layers[0] else "",
            (f"{what}: " if len(scores) > 1 else "")
            + f"{form.form}, {form.bits} bits; about {form.luts:,} LUTs and"
            f" {form.ram_blocks} blocks of RAM beside {sums}"
            f" (estimated for {fpgas()[GENERIC].family.name})",
        )
    for output in net.outputs:
        size = " x ".join(map(str, output.shape))
        console.item("output", f"{output.name}: {size} scores")
    for note in net.notes:
        console.item("note", note)
