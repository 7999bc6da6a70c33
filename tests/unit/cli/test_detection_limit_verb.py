"""The verb that measures a detection limit: its table is printed and written, and an input is not written over."""

from __future__ import annotations

import csv

from napari_liver_anomaly.cli import DONE, REFUSED, main

SMALL = ["--slices", "24", "--size-px", "96"]
FEW = ["--model", "hu", "--sizes", "2", "--contrasts", "2", "--per-cell", "1", "--size-low-mm", "10", "--device", "cpu"]


def test_the_table_is_printed_and_written(tmp_path, capsys):
    assert main(["phantom", "--out", str(tmp_path), *SMALL]) == DONE
    scan, liver = (str(tmp_path / f"phantom_{name}.nii.gz") for name in ("ct", "liver"))
    out = tmp_path / "limit.csv"
    assert main(["detection-limit", scan, "--liver", liver, "--out", str(out), *FEW]) == DONE
    said = capsys.readouterr().out
    assert "15 HU darker" in said and "60 HU darker" in said and "10 mm" in said and "30 mm" in said
    assert "inserted lesions" in said and "not a medical device" in said
    with open(out, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows and f"of {len(rows)} inserted lesions" in said
    assert {(row["diameter_mm"], row["darker_hu"]) for row in rows} <= {
        (mm, hu) for mm in ("10.0", "30.0") for hu in ("15.0", "60.0")
    }
    assert main(["detection-limit", scan, "--liver", liver, "--out", liver, *FEW]) == REFUSED
    assert "one of the files that were read" in capsys.readouterr().err
