"""The verbs that evaluate a model and make tables of stored evaluations."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_liver_anomaly.cli.segment import segment_settings
from napari_liver_anomaly.cli.verb import Verb, changes_of, say, write_json
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.placing import replacing, require_not_an_input, require_place
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

ASK = MaskOptions()
CASE_BYTES = 5000  # of the figures of a case, at least


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateVerb(Verb):
    """Measure a model on scans with tumour masks, beside a rule without learning."""

    data: Path = setting(REQUIRED, help="Folder of NAME_ct, NAME_liver and NAME_tumour files.")
    model: str = setting(DEFAULT, help="Name of a model, or a .safetensors file.")
    device: Device = setting("auto", help="Where to compute.")
    find_liver: bool = setting(False, help="Measure in the liver that the program finds, too.")
    seen: Literal["ask", "mark"] = setting("ask", help="Whether scans of the model's own training are measured.")
    masks: MaskOptions = ASK
    settings: dict[str, Any] = changes_of(AUTO_SETTINGS)
    out: Path = setting(REQUIRED, help="JSON file to write.")

    def run(self, job: Job) -> None:
        """Measure a model on a folder of cases."""
        from napari_liver_anomaly.evaluation.evaluate import evaluate, require_all_run
        from napari_liver_anomaly.io.cases import find_cases
        from napari_liver_anomaly.liver import find_liver
        from napari_liver_anomaly.models import load

        require_not_an_input(self.out, (self.data, self.model))
        require_place(self.out, needed=CASE_BYTES * len(find_cases(self.data)))
        # Whatever is found is measured: a question would count as nothing found.
        find = (lambda volume: find_liver(volume, device=self.device, unlikely="accept")) if self.find_liver else None
        found = evaluate(
            self.data, load(self.model), segment_settings(self.settings), find=find, seen=self.seen, masks=self.masks,
            device=self.device, job=job,
        )  # fmt: skip
        write_json(found, self.out)
        require_all_run(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class TablesVerb(Verb):
    """Make tables and curves from a stored evaluation."""

    report: Path = setting(REQUIRED, positional=True, help="JSON made by 'evaluate' or 'cross-validate'.")
    cases: tuple[str, ...] = setting((), word="METHOD", help="Methods compared scan by scan; curves are those of the first.")
    curves: Path | None = setting(None, help="Picture of FROC, size and calibration curves (.svg or .png); needs matplotlib.")
    out: Path = setting(REQUIRED, help="Markdown file to write.")

    def run(self, job: Job) -> None:
        """Make tables and curves from stored measurements."""
        from napari_liver_anomaly.evaluation.restoration import restoration_table
        from napari_liver_anomaly.evaluation.size_tables import patient_table, size_table
        from napari_liver_anomaly.evaluation.tables import case_table, draw_curves, method_table, read_report, seeds_line

        job.at("Making tables", 0, 1)
        for path in (self.out, self.curves):
            if path:
                require_not_an_input(path, (self.report,))
        report = read_report(self.report)
        chosen = self.cases or tuple(report["summary"])[:1]
        self.require_methods(report, chosen)
        parts = [
            method_table(report),
            seeds_line(report),
            size_table(report, tuple(report["summary"])),
            patient_table(report, chosen),
            restoration_table(report, tuple(report["summary"])),
        ]
        parts.append(case_table(report, chosen))
        with replacing(self.out) as beside:
            beside.write_text("\n".join(part for part in parts if part), encoding="utf-8")
        say(f"Wrote {self.out.name}.")
        if self.curves:
            draw_curves(report, chosen[0], self.curves)
            say(f"Wrote {self.curves.name}.")

    def require_methods(self, report: dict[str, Any], chosen: tuple[str, ...]) -> None:
        """Refuse methods that the report does not hold, and curves that cannot be drawn."""
        if unknown := [name for name in chosen if name not in report["summary"]]:
            raise make_refusal(
                "method-unknown", file=self.report.name, methods=", ".join(unknown), choices=", ".join(report["summary"])
            )
        if self.curves and find_spec("matplotlib") is None:
            raise make_refusal("matplotlib-missing", python=sys.executable)
        if self.curves and not any("curve" in case["methods"][chosen[0]] for case in report["cases"]):
            raise make_refusal("curves-missing", file=self.report.name, method=chosen[0])
