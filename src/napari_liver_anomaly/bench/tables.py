"""What was measured, as tables that people read: ratios first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Found = Mapping[str, Any]


def tables_of(found: Found) -> str:
    """Write what :func:`measure` found as Markdown.

    Parameters
    ----------
    found : mapping
        As :func:`measure` gives it.

    Returns
    -------
    str
        One table for each part.
    """
    machine = found["machine"]
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = [f"Measured on: {about}."]
    for part, write in (
        ("slices", _slices),
        ("floor", _floor),
        ("scan", _scan),
        ("growth", _growth),
        ("training", _training),
        ("start", _start),
        ("gui", _gui),
        ("cohort", _cohort),
    ):
        if part in found:
            parts.append("\n".join(write(found[part], found)))
    return "\n\n".join(parts) + "\n"


def _rows(head: str, *rows: str) -> Iterator[str]:
    yield f"| {head} |"
    yield "|" + "---|" * (head.count("|") + 1)
    yield from (f"| {row} |" for row in rows)


def _slices(part: Found, found: Found) -> Iterator[str]:
    yield "**Scoring a liver slice** (slices side by side, in turn)\n"
    yield from _rows(
        "what scores | times faster than the paper's | ms a slice, median (least to most) | GFLOP a slice",
        *(
            f"{name} | {one['times_faster_than_paper']:.2f} | {_ms(one)} | "
            + ("" if one["gflop"] is None else f"{one['gflop']:.1f}")
            for name, one in part.items()
        ),
    )
    if "distance_to_floor" in found:
        yield f"\nOur default is {found['distance_to_floor']:.2f} times slower than this machine's best float32 convolution would be."


def _ms(one: Found) -> str:
    median, least, most = (1000 * one[f"{name}_s"] for name in ("median", "least", "most"))
    return f"{median:.1f} ({least:.1f} to {most:.1f})"


def _floor(part: Found, found: Found) -> Iterator[str]:
    yield "**The floor**\n"
    yield from _rows("work | best rate", *(f"{name} | {one['giga_per_s']:.1f} {one['unit']}/s" for name, one in part.items()))


def _scan(part: Found, found: Found) -> Iterator[str]:
    yield f"**A whole CT**, {part['voxels']:,.0f} voxels, {part['slices']:.0f} slices with liver, {part['threads']} thread(s)\n"
    yield from _rows(
        "stage | share | s, median (least to most)",
        *(
            f"{name} | {part[name] / part['all']:.0%} | {part[name]:.2f} ({low:.2f} to {high:.2f})"
            for name, (low, high) in part["spread"].items()
        ),
    )
    yield (
        f"\nNetworks (finding the liver and scoring) take {part['share_of_networks']:.0%}. "
        f"Peak of memory {part['peak_bytes'] / 1e6:,.0f} MB; the scan in float32 would be {4 * part['voxels'] / 1e6:,.0f} MB."
    )

    if part.get("others"):
        yield "\n**3D networks of others on the same CT**, the network alone, one patch timed\n"
        yield from _rows(
            "network | times our whole run | patches | s a patch | s in all",
            *(
                f"{name} | {one['all_s'] / part['all']:.1f} | {one['patches']} | {one['patch_s']:.2f} | {one['all_s']:,.0f}"
                for name, one in part["others"].items()
            ),
        )


def _growth(part: Any, found: Found) -> Iterator[str]:
    yield "**Growth**\n"
    yield from _rows(
        "slices of 512² | with liver | threads | s | s a liver slice | peak MB",
        *(
            f"{one['scan_slices']} | {one['slices']} | {one['threads']} | {one['all']:.1f} | {one['all'] / one['slices']:.3f} | "
            f"{one['peak_bytes'] / 1e6:,.0f}"
            for one in part
        ),
    )


def _training(part: Found, found: Found) -> Iterator[str]:
    yield "**Training**\n"
    yield from _rows(
        "stage | waiting for batches | making them alone takes | steps/s | slices/s",
        *(
            f"{name} | {one['share_of_waiting']:.0%} | {one['share_of_batches']:.0%} | {one['steps_per_s']:.2f} | {one['slices_per_s']:.1f}"
            for name, one in part.items()
        ),
    )


def _start(part: Found, found: Found) -> Iterator[str]:
    yield "**Start**\n"
    alone = part["python alone"]["median_s"]
    yield from _rows(
        "command | times Python alone | s, median",
        *(f"{name} | {one['median_s'] / alone:.1f} | {one['median_s']:.2f}" for name, one in part.items()),
    )


def _gui(part: Found, found: Found) -> Iterator[str]:
    yield "**The window**, on a CT of 200 slices of 512², until it is drawn\n"
    yield from _rows(
        "action | ms, median (least to most) | ms on the processor | at most",
        *(f"{name} | {_ms(one)} | {1000 * one['processor_s']:.1f} | {_goal(one)}" for name, one in part.items()),
    )


def _goal(one: Found) -> str:
    return f"{1000 * one['goal_s']:.0f} ms" if "goal_s" in one else ""


def _cohort(part: Found, found: Found) -> Iterator[str]:
    yield f"**Many scans**, {part['scans']:,} small phantoms by two processes of one thread each, model {part['model']}\n"
    names = list(part["memory_by_tenth"][0])
    yield from _rows(
        f"tenth of the run | {' | '.join(f'{name}, most MB' for name in names)}",
        *(
            f"{number} | " + " | ".join(f"{one[name] / 1e6:,.0f}" for name in names)
            for number, one in enumerate(part["memory_by_tenth"], 1)
        ),
    )
    grown = ", ".join(f"{name} {times:.2f}" for name, times in part["grown"].items())
    yield (
        f"\n{part['done']:,} of {part['scans']:,} were segmented. From the middle of the run to its end, memory changed by these factors: {grown}. "
        f"Two processes were {part['times_faster_by_two']:.2f} times as fast as one ({part['compared']} scans each)."
    )
