"""The tables of the papers and of every system, made from the record alone."""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from liver_anomaly_study import published
from liver_anomaly_study.cells import (
    BESIDE,
    Column,
    beside_paper,
    change_hu,
    over_cases,
    over_seeds,
    over_slices,
    planted,
    values,
)
from liver_anomaly_study.pairs import by_patient, paired, tested
from napari_liver_anomaly.evaluation.tables import NONE, SIZE_WORDS, markdown_table
from napari_liver_anomaly.models.registry import SYSTEMS, WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from liver_anomaly_study.cells import Seeds, World

NOTHING = "Nothing is on record yet.\n"
CONTROL, BASELINE = "dark-rule", "draem"
POOLED = Column("Dice, pooled", over_seeds("dice.pooled"))
CASES = Column("Dice, case mean ± SD over cases", over_cases())
SLICES = Column("Dice, slice mean ± SD over slices", over_slices("dice.slice_mean"))
TIDY = Column("Dice, slice mean, post-processed", over_slices("post_processed.dice.slice_mean"))
AP = Column("AP of voxels", over_seeds("average_precision.pooled"))
BEST = Column("best Dice, pooled ([DICE], oracle)", over_seeds("best_dice.pooled"))
AUROC = Column("AUROC of voxels in the liver", over_seeds("auroc_in_liver.pooled"))
RANKS = (
    Column("AUROC of slices, by mean", over_seeds("of_slices.average.auroc")),
    Column("AP of slices", over_seeds("of_slices.average.average_precision")),
    Column("prevalence of slices", over_seeds("of_slices.prevalence")),
    AUROC,
    AP,
)


def _p2_table_1(record: World, world: str) -> str:
    """Compare all methods as the main paper does, table 1."""
    return beside_paper(record, world, published.P2_TABLE_1, published.P2_TABLE_1_HEAD, (POOLED, CASES, SLICES))


def _p2_table_2(record: World, world: str) -> str:
    """Compare the eight cells of the ablation, each paired with DRAEM over patients."""
    base = by_patient(record.get(BASELINE, []))

    def against(place: int, seeds: Seeds) -> str:
        return NONE if seeds is record.get(BASELINE) else tested(paired(by_patient(seeds), base))[place]

    columns = (
        Column("Dice, pooled, mean ± SD over seeds", over_seeds("dice.pooled", sd=True)), CASES,
        Column("Dice, case mean, mean ± SD over seeds", over_seeds("dice.case_mean.mean", sd=True)),
        *(Column(head, partial(against, place)) for place, head in enumerate(("paired with DRAEM, n", "median difference", "p"))),
        Column("change of healthy liver, HU", change_hu),
    )  # fmt: skip
    return beside_paper(record, world, published.P2_TABLE_2, published.P2_TABLE_2_HEAD, columns)


def _switches(record: World, world: str) -> str:
    """Compare, patient by patient, the four cells with a switch and the four without it."""
    rows = []
    for name, on in published.SWITCHES.items():
        cells = [line.key for line in published.P2_TABLE_2]
        if any(key not in record for key in cells):
            return NOTHING
        sides = [_mean_by_patient(record, [key for key in cells if (key in on) is side]) for side in (True, False)]
        means = [f"{fmean(side.values()):.3f}" if side else NONE for side in sides]
        rows.append([name, *means, *tested(paired(*sides))])
    head = ("switch", "Dice over patients, four cells with it", "four cells without", "patients", "median difference", "p")
    return markdown_table(head, rows)


def _mean_by_patient(record: World, keys: Iterable[str]) -> dict[str, float]:
    """Dice of every patient, mean over systems."""
    many = [by_patient(record[key]) for key in keys]
    return {patient: fmean(one[patient] for one in many) for patient in many[0] if all(patient in one for one in many)}


def _p3_tables(record: World, world: str) -> str:
    """Compare recipes of anomalies for one network, as the random-shape paper's tables I and II do."""
    return beside_paper(record, world, published.P3_TABLES, published.P3_TABLES_HEAD, RANKS)


def _p1_table_1(record: World, world: str) -> str:
    """Compare reconstructions, without and with opening and closing."""
    return beside_paper(record, world, published.P1_TABLE_1, published.P1_TABLE_1_HEAD, (SLICES, TIDY))


def _p1_table_2(records: Mapping[str, World]) -> str:
    """Set ASC-Net on our worlds under its figures on the paper's data."""
    lines = [*published.P1_TABLE_2, *(published.Line(world, world) for world in records)]
    found = {world: record["asc-net"] for world, record in records.items() if "asc-net" in record}
    return beside_paper(found, "the row's data", lines, published.P1_TABLE_2_HEAD, (SLICES, TIDY))


def _p4_table_1(record: World, world: str) -> str:
    """Compare hard and soft tissue maps."""
    return beside_paper(record, world, published.P4_TABLE_1, published.P4_TABLE_1_HEAD, (AP, BEST))


def _p4_table_2(record: World, world: str) -> str:
    """Compare cycle translation with autoencoders; the phantom is the second set of data."""
    return beside_paper(record, world, published.P4_TABLE_2[world], published.P4_TABLE_2_HEAD[world], (AP, BEST))


def _against_control(record: World, world: str) -> str:
    """Compare every system with the rule that needs no learning, paired over patients."""
    if CONTROL not in record:
        return NOTHING
    rows = []
    for entry in SYSTEMS:
        if entry.key in record and entry.key != CONTROL:
            row = [entry.key]
            for figure in ("dice", "average_precision"):
                ours, rule = by_patient(record[entry.key], figure), by_patient(record[CONTROL], figure)
                both = ours.keys() & rule.keys()
                row += [f"{sum(ours[one] > rule[one] for one in both)} of {len(both)}", *tested(paired(ours, rule))[1:]]
            rows.append([*row, *(column.cell(record[entry.key]) for column in BESIDE)])
    heads = [f"{what}: {part}" for what in ("Dice", "AP") for part in ("better in", "median difference", "p")]
    return markdown_table(("system", *heads, *(column.head for column in BESIDE)), rows)


def _every_system(record: World, world: str) -> str:
    """Give all figures of every system on record."""
    sizes = [Column(f"lesions touched, {words}", partial(_touched, size)) for size, words in SIZE_WORDS.items()]
    columns = (
        POOLED, CASES, Column("case mean at 0.5", over_cases("dice_at_half")), SLICES, BEST, AP, AUROC,
        Column("AUROC of slices, by maximum", over_seeds("of_slices.maximum.auroc")), *sizes,
        Column("false lesions per scan", over_seeds("lesions.false_per_scan.mean", 1)),
        Column("Dice, pooled, post-processed", over_seeds("post_processed.dice.pooled")),
        Column("case mean, post-processed", over_cases("post_processed_dice")), TIDY,
        Column("change of healthy liver, HU", change_hu), Column("AUROC of a planted ball", planted),
        *BESIDE, Column("updates", lambda seeds: str(seeds[0]["updates"])),
    )  # fmt: skip
    rows = [[entry.key, *(column.cell(record[entry.key]) for column in columns)] for entry in SYSTEMS if entry.key in record]
    return markdown_table(("system", *(column.head for column in columns)), rows) if rows else NOTHING


def _touched(size: str, seeds: Seeds) -> str:
    """Lesions of one class of size that were touched, mean over seeds."""
    found = fmean(values(seeds, f"lesions.by_size.{size}.found"))
    return f"{round(found, 1):g} of {seeds[0]['pooled']['lesions']['by_size'][size]['of']}"


def about(record: World, world: str) -> str:
    """Name the data that a table's figures come from.

    Parameters
    ----------
    record : dict
        What is on record of a world.
    world : str
        Its name.

    Returns
    -------
    str
        One line; what differs between systems is named as often as it differs.
    """
    what = {"patients": "Patients (CT of 3D-IRCADb-01 and LiTS)", "phantom": "Phantom (digital abdomens)"}[world]
    seeds = [seed for many in record.values() for seed in many]
    if not seeds:
        return f"**{what}.**"
    scans = {f"{seed['pooled']['scans']} scans, {seed['pooled']['scans_with_tumour']} with tumour" for seed in seeds}
    folds, updates = {seed["folds"] for seed in seeds}, {seed["updates"] for seed in seeds if seed["updates"]}
    said = (" or ".join(map(str, sorted(many))) for many in (folds, updates or {0}))
    return f"**{what}:** {' or '.join(sorted(scans))}; folds: {next(said)}; updates of a training: {next(said)}."


BOTH: dict[str, Callable[[World, str], str]] = {
    "p2-table-1": _p2_table_1, "p2-table-2": _p2_table_2, "switches": _switches, "p3-tables": _p3_tables, "p1-table-1": _p1_table_1,
    "p4-table-1": _p4_table_1, "p4-table-2": _p4_table_2, "control": _against_control, "systems": _every_system,
}  # fmt: skip


def tables(records: Mapping[str, World]) -> dict[str, str]:
    """Make every table.

    Parameters
    ----------
    records : mapping of str to dict
        World to what is on record of it, from :func:`record.seeds_of`.

    Returns
    -------
    dict
        Name of the table to Markdown: one for each world, with the data named above it.
    """
    made = {
        name: "\n".join(f"{about(records[world], world)}\n\n{make(records[world], world)}" for world in WORLDS)
        for name, make in BOTH.items()
    }
    return made | {"p1-table-2": _p1_table_2(records)}
