"""The tables of the papers and of every method, made from the record alone."""

from __future__ import annotations

from functools import partial
from statistics import fmean, mode
from typing import TYPE_CHECKING

from liver_anomaly_study import published
from liver_anomaly_study.cells import (
    BESIDE,
    Column,
    beside_paper,
    change_hu,
    inserted,
    over_cases,
    over_seeds,
    over_slices,
    values,
)
from liver_anomaly_study.pairs import by_patient, paired, tested
from liver_anomaly_study.record import DATASETS
from napari_liver_anomaly.evaluation.tables import NONE, SIZE_WORDS, markdown_table
from napari_liver_anomaly.models.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from liver_anomaly_study.cells import Lengths, Record, Seeds

NOTHING = "Nothing is on record yet.\n"
# Anomalies, input and restorer of the eight combinations.
PARTS = {
    "noise-slice-alone": ("stretched noise", "one slice", "no"),
    "noise-slice-restored": ("stretched noise", "one slice", "yes"),
    "noise-stack-alone": ("stretched noise", "five slices", "no"),
    "noise-stack-restored": ("stretched noise", "five slices", "yes"),
    "nodules-slice-alone": ("nodules", "one slice", "no"),
    "nodules-slice-restored": ("nodules", "one slice", "yes"),
    "direct": ("nodules", "five slices", "no"),
    "two-stage-ours-long": ("nodules", "five slices", "yes"),
}
RULE, BASE = "dark-rule", "draem"
POOLED = Column("Dice, pooled", over_seeds("dice.pooled"))
CASES = Column("Dice, case mean ± SD over cases", over_cases())
SLICES = Column("Dice, slice mean ± SD over slices", over_slices("dice.slice_mean"))
TIDY = Column("Dice, slice mean, post-processed", over_slices("post_processed.dice.slice_mean"))
AP = Column("AP of voxels", over_seeds("average_precision.pooled"))
BEST = Column("best Dice, pooled ([DICE], oracle)", over_seeds("best_dice.pooled"))
AUROC = Column("AUROC of voxels in the liver", over_seeds("auroc_in_liver.pooled"))
STEPS = Column("steps", lambda seeds: str(seeds[0]["steps"]))  # where not all are trained for as long
RANKS = (
    Column("AUROC of slices, by mean", over_seeds("of_slices.average.auroc")),
    Column("AP of slices", over_seeds("of_slices.average.average_precision")),
    Column("prevalence of slices", over_seeds("of_slices.prevalence")),
    AUROC,
    AP,
)


def _p2_table_1(record: Record, dataset: str) -> str:
    """Compare all methods as the main paper does, table 1."""
    return beside_paper(record, dataset, published.P2_TABLE_1, published.P2_TABLE_1_HEAD, (POOLED, CASES, SLICES, STEPS))


def _p2_table_2(record: Record, dataset: str) -> str:
    """Compare the eight cells of the ablation, each paired with DRAEM over patients."""
    base = by_patient(record.get(BASE, []))

    def against(place: int, seeds: Seeds) -> str:
        return NONE if seeds is record.get(BASE) else tested(paired(by_patient(seeds), base))[place]

    columns = (
        Column("Dice, pooled, mean ± SD over seeds", over_seeds("dice.pooled", sd=True)), CASES,
        Column("Dice, case mean, mean ± SD over seeds", over_seeds("dice.case_mean.mean", sd=True)),
        *(Column(head, partial(against, place)) for place, head in enumerate(("paired with DRAEM, n", "median difference", "p"))),
        Column("change of healthy liver, HU", change_hu),
    )  # fmt: skip
    return beside_paper(record, dataset, published.P2_TABLE_2, published.P2_TABLE_2_HEAD, columns)


def _switches(record: Record, dataset: str) -> str:
    """Compare, patient by patient, the four cells of the paper's ablation with a switch and the four without it."""
    return _with_and_without(record, [line.key for line in published.P2_TABLE_2], published.SWITCHES)


def _parts(record: Record, dataset: str) -> str:
    """Compare the eight combinations of recipe, input and restorer."""
    columns = (
        Column("Dice, pooled, mean ± SD over seeds", over_seeds("dice.pooled", sd=True)), CASES,
        Column("Dice, case mean, mean ± SD over seeds", over_seeds("dice.case_mean.mean", sd=True)), AP,
        *BESIDE, STEPS,
    )  # fmt: skip
    rows = [[*PARTS[key], *(column.cell(record[key]) for column in columns)] for key in PARTS if key in record]
    heads = ("anomalies", "input", "restorer", *(column.head for column in columns))
    return markdown_table(heads, rows) if rows else NOTHING


def _part_switches(record: Record, dataset: str) -> str:
    """Compare, patient by patient, the four combinations with each part of ours and the four without it."""
    ours = {"nodules": 0, "five slices": 1, "yes": 2}
    words = ("nodules, not stretched noise", "five slices, not one", "a restorer in front")
    on = {words[place]: [key for key, parts in PARTS.items() if parts[place] == part] for part, place in ours.items()}
    return _with_and_without(record, list(PARTS), on)


def _with_and_without(record: Record, cells: Sequence[str], switches: Mapping[str, Sequence[str]]) -> str:
    """Compare, patient by patient, the cells with a switch and those without it."""
    rows = []
    for name, on in switches.items():
        if any(key not in record for key in cells):
            return NOTHING
        sides = [_mean_by_patient(record, [key for key in cells if (key in on) is side]) for side in (True, False)]
        means = [f"{fmean(side.values()):.3f}" if side else NONE for side in sides]
        rows.append([name, *means, *tested(paired(*sides))])
    head = ("switch", "Dice over patients, four cells with it", "four cells without", "patients", "median difference", "p")
    return markdown_table(head, rows)


def _mean_by_patient(record: Record, keys: Iterable[str]) -> dict[str, float]:
    """Dice of every patient, mean over methods."""
    many = [by_patient(record[key]) for key in keys]
    return {patient: fmean(one[patient] for one in many) for patient in many[0] if all(patient in one for one in many)}


def _p3_tables(record: Record, dataset: str) -> str:
    """Compare recipes of anomalies for one network, as the random-shape paper's tables I and II do."""
    return beside_paper(record, dataset, published.P3_TABLES, published.P3_TABLES_HEAD, RANKS)


def _p1_table_1(record: Record, dataset: str) -> str:
    """Compare reconstructions, without and with opening and closing."""
    return beside_paper(record, dataset, published.P1_TABLE_1, published.P1_TABLE_1_HEAD, (SLICES, TIDY))


def _p1_table_2(records: Mapping[str, Record]) -> str:
    """Set ASC-Net on our data sets under its figures on the paper's data."""
    lines = [*published.P1_TABLE_2, *(published.Line(dataset, dataset) for dataset in records)]
    found = {dataset: record["asc-net"] for dataset, record in records.items() if "asc-net" in record}
    return beside_paper(found, "the row's data", lines, published.P1_TABLE_2_HEAD, (SLICES, TIDY))


def _p4_table_1(record: Record, dataset: str) -> str:
    """Compare hard and soft tissue maps."""
    return beside_paper(record, dataset, published.P4_TABLE_1, published.P4_TABLE_1_HEAD, (AP, BEST))


def _p4_table_2(record: Record, dataset: str) -> str:
    """Compare cycle translation with autoencoders; the phantom is the second set of data."""
    return beside_paper(record, dataset, published.P4_TABLE_2[dataset], published.P4_TABLE_2_HEAD[dataset], (AP, BEST))


def _against_rule(record: Record, dataset: str) -> str:
    """Compare every method with the rule that needs no learning, paired over patients."""
    if RULE not in record:
        return NOTHING
    rows = []
    for method in METHODS:
        if method.key in record and method.key != RULE:
            row = [method.key]
            for figure in ("dice", "average_precision"):
                ours, rule = by_patient(record[method.key], figure), by_patient(record[RULE], figure)
                both = ours.keys() & rule.keys()
                row += [f"{sum(ours[one] > rule[one] for one in both)} of {len(both)}", *tested(paired(ours, rule))[1:]]
            rows.append([*row, *(column.cell(record[method.key]) for column in BESIDE)])
    heads = [f"{what}: {part}" for what in ("Dice", "AP") for part in ("better in", "median difference", "p")]
    return markdown_table(("method", *heads, *(column.head for column in BESIDE)), rows)


def _every_system(record: Record, dataset: str) -> str:
    """Give all figures of every method on record."""
    sizes = [Column(f"lesions detected, {words}", partial(_detected, size)) for size, words in SIZE_WORDS.items()]
    columns = (
        POOLED, CASES, Column("case mean at 0.5", over_cases("dice_at_half")),
        Column("case mean, threshold by outlines", over_cases("dice_at_outlines")), SLICES, BEST, AP, AUROC,
        Column("AUROC of slices, by maximum", over_seeds("of_slices.maximum.auroc")), *sizes,
        Column("false lesions per scan", over_seeds("lesions.false_per_scan.mean", 1)),
        Column("Dice, pooled, post-processed", over_seeds("post_processed.dice.pooled")),
        Column("case mean, post-processed", over_cases("post_processed_dice")), TIDY,
        Column("change of healthy liver, HU", change_hu), Column("AUROC of an inserted lesion", inserted),
        *BESIDE, STEPS,
    )  # fmt: skip
    rows = [[method.key, *(column.cell(record[method.key]) for column in columns)] for method in METHODS if method.key in record]
    return markdown_table(("method", *(column.head for column in columns)), rows) if rows else NOTHING


def _detected(size: str, seeds: Seeds) -> str:
    """Lesions of one class of size that were detected, mean over seeds."""
    found = fmean(values(seeds, f"lesions.by_size.{size}.found"))
    return f"{round(found, 1):g} of {seeds[0]['pooled']['lesions']['by_size'][size]['of']}"


def about(record: Record, dataset: str) -> str:
    """Name the data that a table's figures come from."""
    what = {"patients": "Patients (CT of 3D-IRCADb-01 and LiTS)", "phantom": "Phantom (digital abdomens)"}[dataset]
    seeds = [seed for many in record.values() for seed in many]
    if not seeds:
        return f"**{what}.**"
    scans = {f"{seed['pooled']['scans']} scans, {seed['pooled']['scans_with_tumour']} with tumour" for seed in seeds}
    folds = " or ".join(map(str, sorted({seed["folds"] for seed in seeds})))
    steps = mode([seed["steps"] for seed in seeds if seed["steps"]] or [0])  # tables with other lengths have a column of them
    return f"**{what}:** {' or '.join(sorted(scans))}; folds: {folds}; steps of a training: {steps}."


def _strict(strict: Record, weak: Record) -> str:
    """Compare methods trained on patients without tumour with the same trained on all slices without tumour, paired over patients."""
    rows = []
    for key, seeds in strict.items():
        compared = tested(paired(by_patient(seeds), by_patient(weak.get(key, []))))
        cells = [column.cell(seeds) for column in (POOLED, CASES, AP)] + [CASES.cell(weak[key]) if key in weak else NONE]
        rows.append([key, *cells, *compared, *(column.cell(seeds) for column in BESIDE)])
    heads = [
        POOLED.head,
        CASES.head,
        AP.head,
        "case mean, trained on slices without tumour",
        "paired, n",
        "median difference",
        "p",
    ]
    return markdown_table(("method", *heads, *(column.head for column in BESIDE)), rows) if rows else NOTHING


def _lengths(record: Record, others: Lengths) -> str:
    """Compare trainings of one method that are as long as the comparison's, longer and shorter."""
    columns = (STEPS, POOLED, CASES, BEST, AP, AUROC, Column("AUROC of an inserted lesion", inserted), *BESIDE)
    rows = []
    for key in dict.fromkeys(key for key, _ in others):
        many = [seeds for one, seeds in others if one == key] + ([record[key]] if key in record else [])
        rows += [
            [key, *(column.cell(seeds) for column in columns)] for seeds in sorted(many, key=lambda seeds: seeds[0]["steps"])
        ]
    return markdown_table(("method", *(column.head for column in columns)), rows) if rows else NOTHING


BOTH: dict[str, Callable[[Record, str], str]] = {
    "p2-table-1": _p2_table_1, "p2-table-2": _p2_table_2, "switches": _switches, "parts": _parts,
    "part-switches": _part_switches, "p3-tables": _p3_tables, "p1-table-1": _p1_table_1,
    "p4-table-1": _p4_table_1, "p4-table-2": _p4_table_2, "rule": _against_rule, "methods": _every_system,
}  # fmt: skip


def tables(
    records: Mapping[str, Record], strict: Record | None = None, lengths: Mapping[str, Lengths] | None = None
) -> dict[str, str]:
    """Make every table."""

    def of_both(make: Callable[[Record, str], str]) -> str:
        return "\n".join(f"{about(records[dataset], dataset)}\n\n{make(records[dataset], dataset)}" for dataset in DATASETS)

    others = lengths or {}
    return {name: of_both(make) for name, make in BOTH.items()} | {
        "p1-table-2": _p1_table_2(records), "strict": _strict(strict or {}, records["patients"]),
        "lengths": of_both(lambda record, dataset: _lengths(record, others.get(dataset, ()))),
    }  # fmt: skip
