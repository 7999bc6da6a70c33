"""Figures are drawn as far as their models are there; their numbers go on record, and the page of figures is made from these."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.charts import require_matplotlib
from liver_anomaly_study.figures.catalogue import PICTURES, commands
from liver_anomaly_study.figures.panels import save
from liver_anomaly_study.page import renewed
from liver_anomaly_study.record import DIGITS
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.evaluation.tables import read_json
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import plain
from napari_liver_anomaly.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from liver_anomaly_study.figures.subject import Subject

PAGE = "figures.md"
MARK = "<!-- made by liver-anomaly-study figures: {} -->"
NOTHING = "Not drawn yet.\n"


def require_no_repository(folder: Path, out: Path) -> None:
    """Refuse to put what patients look like where it could be published with a repository.

    Parameters
    ----------
    folder : Path
        Where pictures are to go.
    out : Path
        The folder for weights and figures, which is no such place.

    Raises
    ------
    Refusal
        When the folder lies in a git work tree and not under ``out``.
    """
    where = folder.resolve()
    inside = any((parent / ".git").exists() for parent in (where, *where.parents))
    if inside and out.resolve() not in (where, *where.parents):
        raise Refusal(
            "patients-in-repository", "The folder for pictures lies in a git repository.",
            "What patients look like could be published with it; nothing was drawn.",
            "Leave --pictures out, so that they go to the folder of --out, or name a folder outside.",
        )  # fmt: skip


def draw_pictures(subject: Subject, folder: Path, page: Path, *, only: tuple[str, ...] = (), job: Job | None = None) -> list[str]:
    """Draw every figure whose models are there, put its numbers on record, and renew its place in the page.

    Parameters
    ----------
    subject : Subject
        Models, livers and record.
    folder : Path
        Where the pictures go.
    page : Path
        The page of figures; made where it is not there.
    only : tuple of str
        Names of :data:`PICTURES`; all when empty.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    list of str
        Names of the files written; and for each figure that was left out, why.

    Raises
    ------
    Refusal
        When a figure is unknown, matplotlib is missing, or the pictures of patients would go into a repository.
    """
    job = job or Job()
    require_matplotlib()
    if unknown := [name for name in only if name not in PICTURES]:
        raise Refusal(
            "figure-unknown", f"There is no figure called {unknown[0][:40]!r}.", "Nothing was drawn.",
            f"Choose of {', '.join(PICTURES)}.",
        )  # fmt: skip
    if subject.world == "patients":
        require_no_repository(folder, subject.place.out)
    chosen = only or tuple(PICTURES)
    said, numbers = [], numbers_of(subject.world, subject.record)
    for number, name in enumerate(chosen):
        job.at(f"Drawing {name}", number, len(chosen))
        picture = PICTURES[name]
        try:
            figure, found = picture.draw(subject)
        except Refusal as refusal:
            if refusal.finding.code != "figure-left-out":
                raise
            said.append(f"{name}: {refusal.finding}")
            continue
        path = folder / f"{name}.{picture.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(figure, path, picture.title)
        numbers[name] = plain(found, DIGITS)
        said.append(path.name)
    _write(_record_of(subject.world, subject.record), json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")
    text = page.read_text(encoding="utf-8") if page.exists() else "# Figures\n"
    _write(page, renewed(text, blocks(numbers, os.path.relpath(folder, page.parent), subject.world), MARK))
    return said


def _record_of(world: str, record: Path) -> Path:
    return record / f"{world}-figures.json"


def numbers_of(world: str, record: Path) -> dict[str, Any]:
    """Read the numbers of the figures on record.

    Parameters
    ----------
    world : str
        ``patients`` or ``phantom``.
    record : Path
        Folder of the record.

    Returns
    -------
    dict
        Name to numbers, in the order of :data:`PICTURES`; none where nothing is on record.
    """
    path = _record_of(world, record)
    there = read_json(path) if path.exists() else {}
    return {name: there[name] for name in PICTURES if name in there}


def blocks(numbers: dict[str, Any], images: str, world: str) -> dict[str, str]:
    """Make what stands between the marks of the page.

    Parameters
    ----------
    numbers : dict
        From :func:`numbers_of`.
    images : str
        Folder of the pictures, from the page.
    world : str
        ``patients`` or ``phantom``; for the commands.

    Returns
    -------
    dict
        Name to Markdown: picture, caption and commands; one sentence for a figure without numbers.
    """
    made = {}
    for name, picture in PICTURES.items():
        if name not in numbers:
            made[name] = NOTHING
            continue
        lines = "\n".join(commands(name, world))
        image = f"![{picture.title}]({images.replace(os.sep, '/')}/{name}.{picture.ending})"
        made[name] = f"**After {picture.paper}.** {picture.words(numbers[name])}\n\n{image}\n\n```bash\n{lines}\n```\n"
    return made


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
