"""Compute the figures of a design on a board: speed, what its link carries, and what it takes."""

from __future__ import annotations

from dataclasses import replace

from xnorflow.comparison.placed import PlacedDesign
from xnorflow.comparison.row import Row
from xnorflow.devices import links
from xnorflow.devices import tables as devices
from xnorflow.devices.clocks import remark as clock_remark
from xnorflow.devices.figure import Figure, Origin, weakest
from xnorflow.devices.links import FrameBytes, HostLink
from xnorflow.devices.tables import Fpga, Source
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.usage import design_resources, error_of

USABLE = {"LUT": 0.70, "FF": 0.50, "block RAM": 0.80}
"""Share of each resource up to which FINN expects timing closure (src/finn/util/platforms.py)."""


def fpga_row(
    board: str,
    design: DesignSummary,
    clock: float | Figure | None,
    chosen: HostLink | None,
    placed: PlacedDesign | None,
    sources: dict[str, Source],
) -> Row:
    """Compute the figures of a design on a board.

    Parameters
    ----------
    board : str
        The board, as `xnorflow.devices.tables.fpga` takes it.
    design : DesignSummary
        Its design.
    clock : float or Figure or None
        Clock in MHz; None for that of `placed`, or else the one assumed for the family.
    chosen : HostLink or None
        Link that the user chose; None for the board's own.
    placed : PlacedDesign or None
        Results of place and route of the design.
    sources : dict of str to Source
        Gets the sources of all device figures that are used.
    """
    fpga = devices.fpga(board)
    family = fpga.family
    mhz = placed.clock if clock is None and placed is not None else _clock(fpga, clock)
    if mhz.how == family.clock_mhz.source.document:
        sources[f"{fpga.board} clock"] = family.clock_mhz.source
    kind = weakest(design.kind, mhz.kind)
    how = f"interval and latency: {design.how}; clock: {mhz.how}"
    error = f"clock {mhz.error}" if mhz.error else None
    figures = {
        "fps": Figure(mhz.value * 1e6 / design.ii, "frames/s", kind, how, error),
        "latency": Figure(design.latency / mhz.value, "us", kind, how, error),
        "single": Figure(
            mhz.value * 1e6 / design.latency, "frames/s", kind, f"1 / latency; {how}", error
        ),
        "clock": mhz,
        "ii": Figure(design.ii, "cycles", design.kind, design.how),
    }
    notes = [f"clock {mhz.error}"] if mhz.error and "unproven" in mhz.error else []
    carrier = _add_link(chosen or links.link_of(board), chosen, design, fpga, figures, sources)
    notes += _add_resources(design, fpga, placed, figures, sources)
    if fpga.power_w is not None and fpga.power_w.usable:
        watts = fpga.power_w.use()
        figures["energy"] = Figure(
            watts / figures.get("headline", figures["fps"]).value * 1e3,
            "mJ/frame",
            Origin.ESTIMATED,
            f"published power of the whole board, {watts:g} W, x interval",
            fpga.power_error or "upper bound",
        )
        sources[f"{fpga.board} power"] = fpga.power_w.source
    return Row(
        fpga.board,
        f"{fpga.board} ({fpga.part.upper()})",
        "FPGA",
        "exact",
        1,
        "",
        figures,
        tuple(notes),
        family,
        "" if carrier is None else carrier.title,
    )


def _add_link(
    link: HostLink | None,
    chosen: HostLink | None,
    design: DesignSummary,
    fpga: Fpga,
    figures: dict[str, Figure],
    sources: dict[str, Source],
) -> HostLink | None:
    """Add what the frames a second need of a link and what it carries; return the link."""
    frame = design.frame_bytes
    if frame is None:
        return None
    fps = figures["fps"]
    figures["traffic"] = traffic(frame, fps)
    if link is None:
        return None
    figures["link"] = link.figure(frame)
    sources[f"{fpga.board} link"] = link.source
    if chosen is not None:
        figures["headline"] = min(fps, figures["link"], key=lambda f: f.value)
    return link


def traffic(frame: FrameBytes, fps: Figure) -> Figure:
    """Return the bytes a second, both ways together, that so many frames a second need."""
    how = f"{frame.sent} bytes a frame to the device and {frame.returned} back, x frames/s"
    return Figure(frame.rate(fps.value), "B/s", fps.kind, how, fps.error)


def _add_resources(
    design: DesignSummary,
    fpga: Fpga,
    placed: PlacedDesign | None,
    figures: dict[str, Figure],
    sources: dict[str, Source],
) -> list[str]:
    """Add what the design takes of the FPGA; return notes on what is too much."""
    family, notes = fpga.family, []
    used = design_resources(design, family)
    for key, name, amount, there, known in (
        ("luts", "LUT", used.luts, fpga.luts, "lut"),
        ("ffs", "FF", used.ffs, fpga.ffs, "ff"),
        ("ram_blocks", "block RAM", used.ram_blocks, fpga.ram_blocks, "bram"),
    ):
        unit = {"luts": f"LUT{family.lut_inputs}", "ffs": "FF", "ram_blocks": family.ram}[key]
        figure = Figure(
            round(amount),
            unit,
            Origin.ESTIMATED,
            "exact packing of the model's memories"
            if key == "ram_blocks"
            else "sum over the components in the model of xnorflow.resources.usage",
            error_of(family, known),
        )
        if placed is not None:
            figure = placed.resources.get(key, figure)
        figures[key] = figure
        share = 100 * figure.value / there.use()
        figures[f"{key}_share"] = replace(figure, value=share, unit="%")
        sources[f"{fpga.board} {name}"] = there.source
        if share > 100:
            notes.append(f"does not fit: {share:.0f} % of the {name} ({figure.kind})")
        elif share > 100 * USABLE[name]:
            notes.append(f"tight: {share:.0f} % of the {name} ({figure.kind})")
    sources[f"{fpga.board} {family.ram} shapes"] = family.ram_source
    if used.dsps and family.dsp is not None:
        _add_dsps(used.dsps, fpga, figures, notes)
        sources[f"{fpga.board} DSP"] = fpga.dsps.source
        sources[f"{fpga.board} products"] = family.dsp.source
    return notes


def _add_dsps(dsps: int, fpga: Fpga, figures: dict[str, Figure], notes: list[str]) -> None:
    """Add the DSP blocks of a design to its figures, and a note if the part has too few."""
    how = "what the tools take for the widths of the products"
    figures["dsps"] = Figure(dsps, "DSP", Origin.ESTIMATED, how)
    if not fpga.dsps.usable:
        return
    share = 100 * dsps / max(1.0, fpga.dsps.use())
    figures["dsps_share"] = Figure(share, "%", Origin.ESTIMATED, "of the part's")
    if share > 100:
        notes.append(f"does not fit: {share:.0f} % of the DSP (estimated)")


def _clock(fpga: Fpga, clock: float | Figure | None) -> Figure:
    if clock is None:
        datum = fpga.family.clock_mhz
        return Figure(datum.use(), "MHz", Origin.ESTIMATED, datum.source.document, "assumed")
    if isinstance(clock, Figure):
        figure = clock
    else:
        figure = Figure(clock, "MHz", Origin.ESTIMATED, "set by the user", "assumed")
    if not 0 < figure.value < 10_000:
        raise BadInput(
            f"{fpga.board}: a clock of {figure.value:g} MHz is not possible; it has to be above 0"
            " and below 10,000 MHz"
        )
    doubt = clock_remark(fpga.family, figure.value)
    return replace(figure, error=doubt) if doubt and figure.kind is Origin.ESTIMATED else figure
