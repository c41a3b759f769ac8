"""Describe in words how fast a design is, how large, and what limits it."""

from __future__ import annotations

from xnorflow.design.summary import Summarised, resources_on
from xnorflow.devices.figure import compact
from xnorflow.devices.links import HostLink, link_of
from xnorflow.devices.tables import fpga
from xnorflow.resources.usage import typical_error


def speed(design: Summarised) -> str:
    """Return how fast a design is: the accelerator alone, by the exact cycle model."""
    return (
        f"{design.fps:,.0f} frames/s at {design.clock.mhz:g} MHz"
        f" ({design.clock.source.partition(':')[0]}); initiation interval {design.ii:,} cycles,"
        f" latency {design.latency:,} cycles (exact cycle model)"
    )


def traffic(design: Summarised, *, option: bool = False) -> str:
    """Return what the frames a second need of a link, and what the link carries.

    Parameters
    ----------
    design : Design
        The design.
    option : bool
        Whether to name the option of commands that chooses the link.
    """
    link, frame = _link(design), design.frame_bytes
    return traffic_in_words(
        frame.rate(design.fps),
        design.fps,
        None if link is None else (link.title, link.fps(frame)),
        chosen=design.link is not None,
        option=link.name if option and link is not None else "",
    ) + ("; design.json has what each link carries" if option and link is None else "")


def traffic_in_words(
    rate: float,
    fps: float,
    link: tuple[str, float] | None,
    *,
    chosen: bool,
    option: str = "",
) -> str:
    """Return what frames a second need of a link, and what the link carries.

    Parameters
    ----------
    rate : float
        Bytes a second that they need, both ways.
    fps : float
        Frames per second of the accelerator.
    link : (str, float) or None
        The link's title and the frames per second that it carries, if one is known.
    chosen : bool
        Whether the user chose the link, so that it limits the headline.
    option : str
        Value of the option ``--link`` that would choose it, to be named; empty for none.
    """
    needs = f"the accelerator needs {compact(rate)}B/s"
    if link is None:
        return needs
    title, carried = link
    said = f"{needs}; {title} carries {few(carried)} frames/s"
    if carried >= fps:
        return said
    if not chosen:
        return f"{said} (--link {option} makes that the headline)" if option else said
    return f"{said}: together {carried:,.0f} frames/s: the link is the limit"


def _link(design: Summarised) -> HostLink | None:
    """Return the link that was chosen, or else that of the board, if any."""
    return design.link or (None if design.board is None else link_of(design.board))


def few(fps: float) -> str:
    """Return frames a second as text, with all digits of thousands where they are few."""
    return f"{fps:,.0f}" if 100 <= fps < 1e5 else compact(fps)


def size(design: Summarised) -> list[str]:
    """Return the estimated resources of a design in lines; none if it has no board."""
    if design.board is None:
        return []
    device = fpga(design.board)
    family, used = device.family, resources_on(design, device)
    parts = []
    for name, unit in (
        ("lut", f"LUT{used['lut_inputs']}"),
        ("ff", "FF"),
        ("bram", used["bram_unit"]),
    ):
        share = 100 * used[name] / used["device"][name]
        error = typical_error(family, name)
        around = "" if error is None else f" \u00b1{error:.0f} %"
        parts.append(f"{used[name]:,} {unit}{around} ({share:.0f} % of {device.board})")
    if "spram" in used:
        parts.append(f"{used['spram']} SPRAM of {used['device']['spram']}")
    if "dsp" in used:
        parts.append(f"{used['dsp']} DSP of {used['device']['dsp']}")
    parts[1:3] = [part.replace(f" of {device.board}", "") for part in parts[1:3]]
    usable = used["usable"]
    return [
        f"{', '.join(parts)}; {used['kind']}, \u00b1 is the median error",
        f"designs may take {usable['lut']:,} LUT{used['lut_inputs']}, {usable['ff']:,} FF and"
        f" {usable['bram']} {used['bram_unit']}: the rest is headroom and host link",
    ]


def limit(design: Summarised) -> str:
    """Return what keeps a design from being faster."""
    found = design.timing
    said = f"{found.busiest}, busy in {found.bound:,} of {design.ii:,} cycles"
    link = _link(design)
    if link is not None and link.fps(design.frame_bytes) < design.fps:
        said = f"the link; of the accelerator, {said}"
    if design.limit:
        said += f"; faster is not possible: {design.limit}"
    return said
