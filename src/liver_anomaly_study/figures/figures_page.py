"""Draw the figures whose models are there, put their numbers on record, and make the page of figures from these."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.charts import require_matplotlib
from liver_anomaly_study.figures.catalogue import PAPER_FIGURES, commands
from liver_anomaly_study.figures.panels import save
from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.page import renewed
from liver_anomaly_study.record import DIGITS
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.evaluation.tables import read_json
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import plain
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from liver_anomaly_study.figures.subject import Subject

PAGE = "figures.md"
MARK = "<!-- made by liver-anomaly-study figures: {} -->"
NOTHING = "Not drawn yet.\n"


def require_no_repository(folder: Path, out: Path) -> None:
    """Refuse to put what patients look like where it could be published with a repository."""
    where = folder.resolve()
    inside = any((parent / ".git").exists() for parent in (where, *where.parents))
    if inside and out.resolve() not in (where, *where.parents):
        raise make_refusal("patients-in-repository")


def draw_figures(subject: Subject, folder: Path, page: Path, *, only: tuple[str, ...] = (), job: Job | None = None) -> list[str]:
    """Draw every figure whose models are there; return the files written, and for each figure left out why."""
    job = job or Job()
    require_matplotlib()
    if unknown := [name for name in only if name not in PAPER_FIGURES]:
        raise make_refusal("figure-unknown", figure=unknown[0][:40], choices=", ".join(PAPER_FIGURES))
    if subject.dataset == "patients":
        require_no_repository(folder, subject.folder.out)
    chosen = only or tuple(PAPER_FIGURES)
    report, numbers = [], numbers_of(subject.dataset, subject.record)
    for number, name in enumerate(chosen):
        job.at(f"Drawing {name}", number, len(chosen))
        paper_figure = PAPER_FIGURES[name]
        try:
            figure, found = paper_figure.draw(subject)
        except Refusal as refusal:
            if refusal.finding.code not in ("figure-left-out", "scikit-learn-missing"):
                raise
            report.append(f"{name}: {refusal.finding}")
            continue
        path = folder / f"{name}.{paper_figure.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(figure, path, paper_figure.title)
        numbers[name] = plain(found, DIGITS)
        report.append(path.name)
    _write(_record_of(subject.dataset, subject.record), json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")
    text = page.read_text(encoding="utf-8") if page.exists() else "# Figures\n"
    _write(page, renewed(text, blocks(numbers, os.path.relpath(folder, page.parent), subject.dataset), MARK))
    return report


def _record_of(dataset: str, record: Path) -> Path:
    return record / f"{dataset}-figures.json"


def numbers_of(dataset: str, record: Path) -> dict[str, Any]:
    """Read the numbers of the figures on record."""
    path = _record_of(dataset, record)
    there = read_json(path) if path.exists() else {}
    return {name: there[name] for name in PAPER_FIGURES if name in there}


def blocks(numbers: dict[str, Any], images: str, dataset: str) -> dict[str, str]:
    """Make what stands between the marks of the page."""
    made = {}
    for name, paper_figure in PAPER_FIGURES.items():
        if name not in numbers:
            made[name] = NOTHING
            continue
        lines = "\n".join(commands(name, dataset))
        image = f"![{paper_figure.title}]({images.replace(os.sep, '/')}/{name}.{paper_figure.ending})"
        made[name] = (
            f"**After {paper_figure.paper}.** {paper_figure.caption(numbers[name])}\n\n{image}\n\n```bash\n{lines}\n```\n"
        )
    return made


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
