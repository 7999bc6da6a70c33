"""The study in a terminal: ``liver-anomaly-study run``, ``tables``, ``figures`` and the rest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.record import DATASETS
from napari_liver_anomaly.cli.parser import _seed, run_verb
from napari_liver_anomaly.cli.verbs import _healthy, _say
from napari_liver_anomaly.device import CHOICES
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.models.registry import BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.job import Job


def run_systems(args: argparse.Namespace, job: Job) -> None:
    """List every method with its figures."""
    from liver_anomaly_study.listing import list_methods, table_of

    listed = list_methods()
    _say(json.dumps(listed, indent=1, ensure_ascii=False) if args.json else table_of(listed))


def run_evidence_run(args: argparse.Namespace, job: Job) -> None:
    """Train and measure the methods of the comparison, as far as that is not done yet."""
    from liver_anomaly_study.comparison import run_all
    from liver_anomaly_study.runs import RunFolder, plan_runs

    folder = RunFolder(args.out, args.data, tuple(map(tuple, args.fold or ())), args.device, args.threads)
    runs = plan_runs(
        folder, only=args.only or (), datasets=args.dataset, seeds=args.seeds, first=args.first_seed, budget=args.budget
    )
    done = run_all(runs, folder, jobs=args.jobs, job=job)
    _say(f"Runs asked for: {len(runs)}; done now: {done}; done before: {len(runs) - done}.")


def run_evidence_export(args: argparse.Namespace, job: Job) -> None:
    """Write models of the comparison as files for the model chooser."""
    from liver_anomaly_study.export import export
    from liver_anomaly_study.runs import Run, RunFolder

    folder = RunFolder(args.out, args.data, tuple(map(tuple, args.fold)))
    scans = _healthy(args, job)
    for number, key in enumerate(args.only):
        job.at("Writing models", number, len(args.only))
        path = export(Run("patients", key, args.number, args.seed, args.budget), folder, scans, args.to, about=args.about_data)
        _say(f"Wrote {path.name}.")


def run_evidence_tables(args: argparse.Namespace, job: Job) -> None:
    """Make the page of the comparison and its charts again, from the record, to which finished runs are brought first where they are given."""
    from liver_anomaly_study.charts import require_matplotlib
    from liver_anomaly_study.page import write_page
    from liver_anomaly_study.record import RECORD, gather

    job.at("Making tables", 0, 1)
    require_matplotlib()
    if args.runs:
        _say(f"Brought into the record: {', '.join(gather(args.runs, args.record or RECORD, args.budget)) or 'nothing'}.")
    _say(f"Wrote {', '.join(write_page(args.out, args.record))}.")


def _subject(args: argparse.Namespace) -> Subject:
    from liver_anomaly_study.figures.subject import Subject
    from liver_anomaly_study.record import RECORD
    from liver_anomaly_study.runs import RunFolder

    return Subject(RunFolder(args.out, args.data, ()), args.dataset, args.budget, args.record or RECORD)


def run_evidence_figures(args: argparse.Namespace, job: Job) -> None:
    """Draw the figures that need models and images, and say which were left out."""
    from liver_anomaly_study.figures.figures_page import PAGE, draw_figures

    for_all = args.dataset == "phantom"
    folder = args.pictures or (Path("docs/images/evidence") if for_all else args.out / "pictures")
    page = args.page or ((Path("docs/evidence") if for_all else folder) / PAGE)
    for line in draw_figures(_subject(args), folder, page, only=tuple(args.only or ()), job=job):
        _say(line)


def run_evidence_long(args: argparse.Namespace, job: Job) -> None:
    """Train one method for long, measured on the way, as far as that is not on record."""
    from liver_anomaly_study.long_training import run_special

    _say(f"On record: {run_special(args.what, _subject(args), seeds=args.seeds, job=job).name}.")


VERBS: dict[str, Callable[[Any, Any], None]] = {
    "systems": run_systems, "evidence-run": run_evidence_run, "evidence-export": run_evidence_export,
    "evidence-tables": run_evidence_tables, "evidence-figures": run_evidence_figures, "evidence-long": run_evidence_long,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb of the study; exit codes as for ``liver-anomaly``."""
    return run_verb(make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the study."""
    parser = argparse.ArgumentParser(prog="liver-anomaly-study", description=NOT_A_MEDICAL_DEVICE)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", help="What to do.")
    verb = _verb(verbs, "systems", "List every method with its paper, size and figures.")
    verb.add_argument("--json", action="store_true", help="As data, instead of a table.")

    verb = _verb(verbs, "run", "Train and measure what is missing; a stopped run goes on where it was.", "evidence-run")
    verb.add_argument("--data", type=Path, help="Folder of NAME_ct, NAME_liver and NAME_tumour files; without it, phantom only.")
    verb.add_argument("--fold", nargs="+", action="append", metavar="NAME", help="Cases measured together; repeat for each fold.")
    verb.add_argument("--only", nargs="+", metavar="KEY", help="These methods; 'liver-anomaly-study systems' lists them.")
    verb.add_argument(
        "--dataset", "--world", nargs="+", choices=DATASETS, default=DATASETS, help="Patients, phantom, or both. Default both."
    )
    verb.add_argument("--seeds", type=int, default=1, help="Trainings of each method on each fold. Default 1.")
    verb.add_argument(
        "--first-seed", type=_seed, default=0, help="Seed of the first of them, where others are on record. Default 0."
    )
    verb.add_argument("--budget", type=int, default=BUDGET, help=f"Updates of each training in all. Default {BUDGET}.")
    verb.add_argument("--jobs", type=int, default=1, help="Trainings at once. Default 1.")
    verb.add_argument("--threads", type=int, default=1, help="Processors for each. Default 1.")
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where to compute. Default auto.")
    verb.add_argument(
        "--out", type=Path, required=True, help="Folder for weights and figures; it will hold what patients look like."
    )
    verb = _verb(verbs, "tables", "Make the page of the comparison and its charts again from the record.", "evidence-tables")
    verb.add_argument("--runs", type=Path, help="Folder 'runs' of finished runs, to be brought into the record first.")
    verb.add_argument("--budget", type=int, default=BUDGET, help=f"Updates of the runs that are brought in. Default {BUDGET}.")
    verb.add_argument("--record", type=Path, help="Folder of the record. Default: the one that comes with the program.")
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("docs/evidence"),
        help="Folder of the page systems.md; charts go to ../images/evidence beside it. Default docs/evidence.",
    )

    verb = _verb(verbs, "figures", "Draw the figures that need models and images, as far as these are there.", "evidence-figures")
    _subject_flags(verb)
    verb.add_argument("--only", nargs="+", metavar="NAME", help="These figures, for example p2-figure-2.")
    verb.add_argument(
        "--pictures",
        type=Path,
        help="Folder for the pictures. Default: docs/images/evidence for the phantom, OUT/pictures for patients, never a repository.",
    )
    verb.add_argument(
        "--page",
        type=Path,
        help="Page of figures. Default: docs/evidence/figures.md for the phantom, beside the pictures for patients.",
    )
    verb = _verb(
        verbs, "long-training", "Train one method for long and measure it on the way, for two of the figures.", "evidence-long"
    )
    _subject_flags(verb)
    verb.add_argument(
        "--what",
        choices=("segmenter", "cycles"),
        default="segmenter",
        help="Segmenter of the two-stage model, or ASC-Net's cycles.",
    )
    verb.add_argument("--seeds", type=int, default=3, help="Trainings on each fold. Default 3.")

    verb = _verb(verbs, "export", "Write models of the comparison as files for the panel and 'segment'.", "evidence-export")
    verb.add_argument("--data", type=Path, required=True, help="Folder of cases, as for 'liver-anomaly-study run'.")
    verb.add_argument(
        "--fold", nargs="+", action="append", required=True, metavar="NAME", help="The folds, as for 'liver-anomaly-study run'."
    )
    verb.add_argument(
        "--healthy", type=Path, nargs="+", required=True, help="Files made by 'prepare --keep-names', for the cards."
    )
    verb.add_argument("--only", nargs="+", required=True, metavar="KEY", help="Which methods.")
    verb.add_argument("--number", type=int, default=1, help="The model that never saw this fold, from 1. Default 1.")
    verb.add_argument("--seed", type=_seed, default=0, help="Which training of several. Default 0.")
    verb.add_argument("--budget", type=int, default=BUDGET, help=f"Updates that they were trained for. Default {BUDGET}.")
    verb.add_argument("--about-data", default="", metavar="TEXT", help="Origin and licence of the scans, kept in the card.")
    verb.add_argument("--out", type=Path, required=True, help="Folder of 'liver-anomaly-study run'.")
    verb.add_argument("--to", type=Path, required=True, help="Folder for the models.")

    return parser


def _verb(verbs: Any, name: str, words: str, verb: str = "") -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=f"{words} {NOT_A_MEDICAL_DEVICE}")
    made.set_defaults(run=VERBS[verb or name])
    return made


def _subject_flags(verb: argparse.ArgumentParser) -> None:
    """Say which models and livers of the comparison are looked at."""
    verb.add_argument("--out", type=Path, required=True, help="Folder that 'liver-anomaly-study run' filled.")
    verb.add_argument(
        "--data", type=Path, help="Folder of cases, as for 'liver-anomaly-study run', where OUT does not hold them prepared."
    )
    verb.add_argument("--dataset", "--world", choices=DATASETS, default="phantom", help="Patients or phantom. Default phantom.")
    verb.add_argument("--budget", type=int, default=BUDGET, help=f"Updates of the trainings. Default {BUDGET}.")
    verb.add_argument("--record", type=Path, help="Folder of the record. Default: the one that comes with the program.")
