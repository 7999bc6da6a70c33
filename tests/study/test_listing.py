"""The list of methods: each with its figures, in columns that fit a terminal, without torch."""

from __future__ import annotations

import pytest

from liver_anomaly_study import listing, record
from liver_anomaly_study.cli import main
from napari_liver_anomaly.models.methods import METHODS

RUN = {"parameters": 123_456, "steps": 400, "train_s": 61.0, "ms_per_slice": 2.0}


def run(seed, *dices):
    rows = [{"case": str(number), "tumour_ml": 3.0, "dice": dice} for number, dice in enumerate(dices)]
    return RUN | {"seed": seed, "cases": [*rows, {"case": "healthy", "tumour_ml": 0.0, "dice": 1.0}]}


@pytest.fixture
def recorded(monkeypatch):
    there = {"patients": {"hu": [run(0, 0.2, 0.6), run(1, 0.4, 0.8)]}, "phantom": {"hu": [run(0, 0.9)]}}
    monkeypatch.setattr(record, "seeds_of", there.get)


def test_every_method_is_listed_with_what_is_known(recorded):
    listed = {one["key"]: one for one in listing.list_methods()}
    assert list(listed) == [entry.key for entry in METHODS]
    hu = listed["hu"]
    assert (hu["trained"], hu["parameters"], hu["megabytes"], hu["case_mean_dice"]) == (True, 123_456, 0.49, 0.5)
    assert hu["phantom"]["case_mean_dice"] == 0.9
    assert (listed["layers"]["trained"], listed["layers"]["case_mean_dice"]) == (False, None)


def test_the_table_fits_a_terminal(recorded, capsys):
    assert main(["systems"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    at = next(number for number, line in enumerate(lines) if line.startswith("hu "))
    for word in ("trained", "123,456", "0.49 MB", "0.50 ± 0.28 (2 × 2)", "0.90 (1 × 1)"):
        assert word in lines[at], word
    assert "Hu et al., CVPR 2023" in lines[at + 1]
    assert [line.split()[1] for line in lines if line.startswith(("layers", "dark-rule"))] == ["not", "rule"]


def test_long_names_of_models_do_not_widen_the_table(recorded):
    listed = [one | {"models": ["a-rather-long-name-of-a-model"] * 3} for one in listing.list_methods()]
    assert max(map(len, listing.table_of(listed).splitlines())) == 120
