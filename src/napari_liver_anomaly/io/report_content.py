"""What a report for people says and shows: the same for every format it is written in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.io.report_pictures import Picture, lesion_picture, overview_picture
from napari_liver_anomaly.notebook import largest_slice
from napari_liver_anomaly.settings import options

if TYPE_CHECKING:
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result

Rows = tuple[tuple[str, str], ...]
MOST_PICTURES = 24  # the largest lesions; all are in the table
TARGETS = 2  # lesions of one organ whose diameters RECIST 1.1 adds up
COLUMNS = ("No.", "ml", "mm", "HU", "to liver", "Slice", "Drawn")
LIVER_FROM = {
    "found": "found by the program",
    "given": "given by the user",
    "corrected": "found by the program, corrected by hand",
}
DRAWN = {"automatic": "by the program", "corrected": "by the program, corrected", "manual": "by hand"}


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionEntry:
    """One lesion with the slice on which it is measured."""

    title: str
    rows: Rows
    picture: Picture


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportContent:
    """All of a report, as text and pictures; ``patient`` is empty unless somebody wanted the patient named."""

    patient: Rows
    summary: str
    sides: str
    overview: Rows
    picture: Picture
    table: tuple[tuple[str, ...], ...]
    lesions: tuple[LesionEntry, ...]
    without_picture: int
    settings: Rows
    model: Rows
    notes: tuple[str, ...]


def legend_of(content: ReportContent) -> str:
    """Say what the columns of the table are, and which lesions have no picture."""
    legend = (
        "mm: longest diameter × largest extent across it, on the slice where the lesion is largest. "
        "HU: mean. To liver: mean minus the median of the other liver. Slices are counted from 0 at the head."
    )
    if any("cyst?" in cell for row in content.table for cell in row):
        legend += " Cyst?: as dark and even as water, with a sharp edge, in this phase: a hint, not a finding."
    return legend + (f" The {len(content.lesions)} largest lesions have a picture." if content.without_picture else "")


def content_of(result: Result, patient: Rows, *, sides_known: bool) -> ReportContent:
    """Gather what a report says about a result."""
    slices = {lesion.number: measured_on(result, lesion) for lesion in result.lesions}
    shown = sorted(result.lesions, key=lambda lesion: -lesion.volume_ml)[:MOST_PICTURES]
    return ReportContent(
        patient=patient,
        summary=result.summary,
        sides="The patient's right is on the left of every picture." if sides_known else "Left and right are not verified.",
        overview=_overview(result),
        picture=overview_picture(result),
        table=tuple(_row(result, lesion, slices[lesion.number]) for lesion in result.lesions),
        lesions=tuple(
            LesionEntry(
                title=f"Lesion {lesion.number}",
                rows=_measures(result, lesion, slices[lesion.number]),
                picture=lesion_picture(result, lesion, slices[lesion.number]),
            )
            for lesion in shown
        ),
        without_picture=len(result.lesions) - len(shown),
        settings=_settings(result),
        model=_model(result),
        notes=tuple(f"{finding.what} {finding.meaning}" for finding in result.findings),
    )


def measured_on(result: Result, lesion: Lesion) -> int:
    """Find the axial slice on which a lesion is measured: that of its largest area."""
    first = lesion.first_slice
    return first + largest_slice(result.labels[first : lesion.last_slice + 1] == lesion.number)


def _overview(result: Result) -> Rows:
    longest = sorted((lesion.long_mm for lesion in result.lesions), reverse=True)[:TARGETS]
    share = 100 * result.tumour_ml / result.liver.ml if result.liver.ml else 0.0
    found = LIVER_FROM[result.liver_from]
    rows = [("Liver", f"{result.liver.ml:,.0f} ml, {found}"), ("Lesions", str(len(result.lesions)))]
    if result.lesions:
        rows += [
            ("All lesions", f"{result.tumour_ml:,.1f} ml, {share:.1f} % of the liver"),
            (
                "Long diameters",
                f"{sum(longest):.0f} mm, {'the two largest added' if len(longest) == TARGETS else 'of the one lesion'}",
            ),
        ]
    if result.targets:
        rows.append(("Target lesions", f"{result.target_mm:.0f} mm, the long diameters of {_named(result.targets)} added"))
    if result.rejected:
        rows.append(("Rejected", f"{len(result.rejected)} that the program found and the reader rejected"))
    if result.left_out:
        rows.append(("Left out", f"{result.left_out} pieces where the found liver is unsure"))
    return (*rows, ("Scan", f"{result.volume.geometry}"), ("Identity of the scan", result.volume.identity))


def _named(numbers: tuple[int, ...]) -> str:
    return " and ".join(str(number) for number in numbers)


def _row(result: Result, lesion: Lesion, slice_number: int) -> tuple[str, ...]:
    return (
        str(lesion.number), f"{lesion.volume_ml:.1f}", f"{lesion.long_mm:.0f} × {lesion.short_mm:.0f}",
        f"{lesion.mean_hu:.0f}{' cyst?' if lesion.may_be_cyst else ''}",
        _signed(lesion.difference_hu), str(slice_number), DRAWN[result.origin(lesion)],
    )  # fmt: skip


def _measures(result: Result, lesion: Lesion, slice_number: int) -> Rows:
    x, y, z = lesion.centroid_mm
    sides = zip("LPF", "RAH", (x, y, z), strict=True)
    place = ", ".join(f"{higher if mm > 0 else lower} {abs(mm):.0f}" for lower, higher, mm in sides)
    return (
        ("Diameters", f"{lesion.long_mm:.1f} × {lesion.short_mm:.1f} mm"),
        ("Volume", f"{lesion.volume_ml:.2f} ml"),
        ("Mean", f"{lesion.mean_hu:.0f} HU"),
        ("To liver", f"{_signed(lesion.difference_hu)} HU"),
        *((("May be", "a simple cyst: as dark and even as water, with a sharp edge"),) if lesion.may_be_cyst else ()),
        ("Slice", f"{slice_number}, seen on {lesion.first_slice} to {lesion.last_slice}"),
        ("Slice lies at", result.volume.place_of(slice_number) or "not known"),
        ("Centre", f"{place} mm from the scanner's zero" if result.volume.geometry.oriented else "not known"),
        ("Drawn", DRAWN[result.origin(lesion)]),
        *((("Comment", result.comments[lesion]),) if lesion in result.comments else ()),
    )


def _settings(result: Result) -> Rows:
    given = {field.name: getattr(result.settings, field.name) for field in fields(result.settings)}
    said = {True: "yes", False: "no"}
    rows = [
        (
            option.words,
            said[value] if isinstance(value := given[option.name], bool) else f"{value:.6g} {_sign(option.unit)}".strip(),
        )
        for option in options(result.settings)
    ]
    return (*rows, ("Computed", result.ran_on))


def _sign(unit: str) -> str:
    return unit.replace("mm3", "mm³")


def _model(result: Result) -> Rows:
    rows = [("Model", result.model), *result.about_model.items(), ("Weights", result.model_hash or "none")]
    return (*rows, ("Versions", ", ".join(f"{name} {number}" for name, number in result.versions.items())))


def _signed(hu: float) -> str:
    return "not known" if np.isnan(hu) else f"{hu:+.0f}".replace("-", "−")
