"""Tables and curves are made from stored JSON alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.evaluation.case_measuring import Measured
from napari_liver_anomaly.evaluation.case_results import figures_of, plain, row
from napari_liver_anomaly.evaluation.curves import curve_of
from napari_liver_anomaly.evaluation.evaluate import report
from napari_liver_anomaly.evaluation.size_tables import patient_table, size_table
from napari_liver_anomaly.evaluation.tables import case_table, method_table, seeds_line
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask

GEOMETRY = Geometry((30, 30, 20), np.diag([2.0, 2.0, 3.0, 1.0]))


def measured(name, tumour, scores):
    liver = np.zeros(GEOMETRY.shape, bool)
    liver[2:18, 3:27, 3:27] = True
    truth = np.zeros_like(liver)
    if tumour:
        truth[5:9, 5:11, 5:11] = True
    case = Measured(name, name, False, {"tumour_ml": float(truth.sum()) * GEOMETRY.voxel_ml})
    for method, grey in scores.items():
        score = np.where(truth, grey, 0).astype(np.uint8)
        score[12:15, 15:20, 15:20] = 140  # a false lesion
        figures = figures_of(score >= 128, score, Mask(truth, GEOMETRY), Mask(liver, GEOMETRY))
        case.figures[method] = figures
        case.rows[method] = row(figures) | {
            "curve": curve_of(score, Mask(truth, GEOMETRY), Mask(liver, GEOMETRY), SegmentSettings())
        }
    return case


@pytest.fixture
def stored(tmp_path):
    scores = {"seed-1": 100, "seed-2": 180, "ensemble": 180}
    made = plain(report([measured("a", True, scores), measured("b", False, scores)], []))
    path = tmp_path / "report.json"
    path.write_text(json.dumps(made))
    return path


def test_rows_say_what_the_report_says(stored):
    made = json.loads(stored.read_text())
    lines = method_table(made, ["ensemble", "seed-1"], {"ensemble": "all"}).splitlines()
    assert lines[0].startswith("| what | Dice, pooled |")
    dice = 2 * 144 / (2 * 144 + 75 + 75)
    assert lines[2].startswith(f"| all | {dice:.3f} | ")
    assert "| 1 of 1 | 0 of 0 |" in lines[2]
    assert "| 0 of 1 | 0 of 0 |" in lines[3]
    assert lines[2].endswith("| 1.0 ± 0.0 (2 of 2) | 1 |")
    assert f"pooled Dice {dice / 2:.3f} ± {dice / np.sqrt(2):.3f}" in seeds_line(made)


def test_scan_by_scan(stored):
    table = case_table(json.loads(stored.read_text()), ["ensemble", "seed-1"]).splitlines()
    assert table[2].startswith("| a | 1.7 |")
    assert "| 1 of 1 | 0 of 1 | 1 | 1 |" in table[2]
    assert table[3].startswith("| b | 0.0 | – | – | – | – |")


def test_lesions_by_size_and_small_ones_for_each_patient(stored):
    made = json.loads(stored.read_text())
    at = made["summary"]["ensemble"]["all"]["lesions"]["sensitivity_at"]
    assert at["10_to_20_mm"] == dict.fromkeys(("0.5", "1", "2", "4"), 1.0), "at a peak of 0.6 no false lesion is left"
    points = made["summary"]["ensemble"]["all"]["lesions"]["operating_points"]
    assert [(one["name"], one["sensitivity"], one["false_per_scan"]) for one in points] == [("specific", 1.0, 0.0)]
    lines = size_table(made, ["ensemble", "seed-1"]).splitlines()
    assert lines[0].startswith("| what | size | detected | covered to half |")
    assert lines[3] == "| ensemble | 10 to 20 mm | 1 of 1 | 1 of 1 | 1.00 | 1.00 | 1.00 | 1.00 |"
    assert lines[6] == "| seed-1 | 10 to 20 mm | 0 of 1 | 0 of 1 | 0.00 | 0.00 | 0.00 | 0.00 |"
    assert patient_table(made, ["ensemble"]) == "", "no lesion under 10 mm"
    for case in made["cases"]:
        case["methods"]["ensemble"]["lesions"]["by_size"]["under_10_mm"] = {"found": 1, "of": 3 if case["case"] == "b" else 0}
    assert patient_table(made, ["ensemble"]).splitlines()[2:] == ["| b | 1 of 3 |"]


def test_tables_of_older_reports_leave_out_what_was_not_measured(stored):
    made = json.loads(stored.read_text())
    for method in made["summary"].values():
        del method["all"]["lesions"]["sensitivity_at"], method["all"]["lesions"]["half_covered_by_size"]
    assert size_table(made, ["ensemble"]) == ""


def test_the_command_writes_table_and_curves(stored, tmp_path):
    pytest.importorskip("matplotlib", reason="curves need the extra 'evidence'")
    out, curves = tmp_path / "t.md", tmp_path / "c.svg"
    assert main(["tables", str(stored), "--cases", "ensemble", "--out", str(out), "--curves", str(curves)]) == 0
    assert "| ensemble |" in out.read_text()
    assert "Single models, mean ± SD over 2 seeds" in out.read_text()
    assert curves.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("report", "more", "words"),
    [
        (None, [], "not a readable evaluation"),
        ("nothing", [], "not a readable evaluation"),
        ("good", ["--cases", "best"], "no method called best"),
        ("good", ["--cases", "seed-1", "--curves", "c.svg"], "no curves of seed-1"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_written(stored, tmp_path, capsys, report, more, words):
    pytest.importorskip("matplotlib", reason="curves need the extra 'evidence'")
    path = stored if report == "good" else tmp_path / "other.json"
    if report == "nothing":
        path.write_text("[]")
    if report == "good":
        made = json.loads(stored.read_text())
        for case in made["cases"]:
            del case["methods"]["seed-1"]["curve"]
        stored.write_text(json.dumps(made))
    out = tmp_path / "t.md"
    assert main(["tables", str(path), "--out", str(out), *more]) == 3
    assert words in capsys.readouterr().err
    assert not out.exists()
