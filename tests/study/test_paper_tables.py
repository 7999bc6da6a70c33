"""Tables of the comparison say what the record says, and never mix it with what is published."""

from __future__ import annotations

import re
from statistics import fmean, stdev

import pytest
from scipy.stats import wilcoxon

from liver_anomaly_study import published
from liver_anomaly_study.paper_tables import PARTS, tables
from liver_anomaly_study.record import DATASETS, STRICT, gather, lengths_of, seeds_of
from napari_liver_anomaly.models.methods import BUDGET, METHODS

CELLS = [line.key for line in published.P2_TABLE_2]


@pytest.fixture(scope="module")
def made(put_once):
    """Tables of a record in which every cell with pseudo anomalies finds two rows of the tumour more."""
    folder, put = put_once
    for key in CELLS:
        put("patients", key, hit=3 if "pa" in key or key == "two-stage" else 1)
    put("patients", "cell-unet", hit=2, seed=1)
    put("patients", "dark-rule", hit=2)
    put("patients", "asc-net", hit=2)
    put("phantom", "draem", hit=2)
    put("phantom", "cell-pa", hit=4)
    for place, key in enumerate(PARTS):
        put("patients", key, hit=1 + place % 2 + 2 * (key == "two-stage-ours-long"))  # one row more with a restorer
    put("strict", "direct", hit=4)
    gather(folder / "runs", folder / "record")
    found = {dataset: seeds_of(dataset, folder / "record") for dataset in DATASETS}
    return found, tables(found, seeds_of(STRICT, folder / "record"))


def parts(text):
    """Tables of a block as lists of rows: column's head to cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines())
        assert all(len(row) == len(head) for row in rows)
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def row(text, label, table=0):
    return next(one for one in parts(text)[table] if next(iter(one.values())) == label)


def cell(line, end):
    """The one cell whose head ends so."""
    (value,) = [value for head, value in line.items() if head.endswith(end)]
    return value


def dice(hit):
    return 2 * 6 * hit / (6 * hit + 16 + 36)  # six voxels a row; sixteen are false; the tumour has 36


def test_the_ablation_tells_scatter_over_seeds_from_scatter_over_cases(made):
    line = row(made[1]["p2-table-2"], "U-Net")  # one row more with the second seed
    hits = [1, 2, 1, 1, 2, 1, 2, 1]  # cases with tumour
    cases = [(dice(hit) + dice(hit + 1)) / 2 for hit in hits]
    assert cell(line, "case mean ± SD over cases") == f"{fmean(cases):.3f} ± {stdev(cases):.3f}"
    seeds = [fmean(dice(hit + more) for hit in hits) for more in (0, 1)]
    assert cell(line, "case mean, mean ± SD over seeds") == f"{fmean(seeds):.3f} ± {stdev(seeds):.3f}"
    predicted = [6 * (sum(hits) + 8 * more) for more in (0, 1)]  # and 16 in every scan, and rows where there is no tumour
    pooled = [2 * hit / (hit + 9 * 16 + 6 * (2 + more) + 8 * 36) for more, hit in enumerate(predicted)]
    assert cell(line, "pooled, mean ± SD over seeds") == f"{fmean(pooled):.3f} ± {stdev(pooled):.3f}"
    assert [line[head] for head in ("cases with tumour", "seeds", "parameters", "training, s")] == ["8 of 9", "2", "12,345", "15"]
    assert line["prevalence"] == f"{8 * 36 / (9 * 3 * 14 * 14):.4f}"
    assert cell(line, "healthy liver, HU") == f"{(4 * 3 + 5 * 4) / 9:.1f}"


def test_tests_are_paired_over_patients(made):
    """Two scans of one patient count once, and seeds do not count at all."""
    found = row(made[1]["p2-table-2"], "PA")
    assert cell(found, "paired with DRAEM, n") == "7"  # of eight scans with tumour
    differences = [dice(3) - dice(1)] * 4 + [dice(4) - dice(2)] * 2 + [(dice(3) - dice(1) + dice(4) - dice(2)) / 2]
    assert cell(found, "median difference") == f"{sorted(differences)[3]:+.3f}"
    assert cell(found, ": p") == f"{wilcoxon(differences).pvalue:.2g}"
    assert [cell(row(made[1]["p2-table-2"], "none: DRAEM"), end) for end in ("DRAEM, n", "difference", ": p")] == ["–"] * 3
    assert cell(row(made[1]["p2-table-2"], "PA", table=1), ": p") == "too few pairs"  # two phantoms
    assert "*" not in "".join(cell(one, ": p") for one in parts(made[1]["p2-table-2"])[0])


def test_each_switch_by_itself(made):
    anomalies = row(made[1]["switches"], "pseudo anomalies (PA)")
    assert float(anomalies["median difference"]) > 0.1
    assert float(anomalies["Dice over patients, four cells with it"]) > float(anomalies["four cells without"]) + 0.1
    assert abs(float(row(made[1]["switches"], "two phases (TP)")["median difference"])) < 0.05
    assert "Nothing is on record yet." in made[1]["switches"]  # six cells of the phantom are missing


def test_parts_are_told_apart(made):
    """Every combination stands in its row, and each part is tested over the four with it and the four without."""
    rows = parts(made[1]["parts"])[0]
    assert [(line["anomalies"], line["input"], line["restorer"]) for line in rows] == list(PARTS.values())
    assert len(set(PARTS.values())) == 8
    found = {line["switch"]: line for line in parts(made[1]["part-switches"])[0]}
    with_one = float(found["a restorer in front"]["median difference"])
    assert with_one > 0.1, "one row more in each, three in the last"
    assert 0 < float(found["nodules, not stretched noise"]["median difference"]) < with_one


def test_strict_training_is_set_beside_the_same_method_trained_on_slices(made):
    (line,) = parts(made[1]["strict"])[0]
    assert (line["method"], line["paired, n"]) == ("direct", "7")
    assert float(line["median difference"]) > 0.2
    assert line["case mean, trained on slices without tumour"] == cell(
        row(made[1]["methods"], "direct"), "case mean ± SD over cases"
    )


def test_post_processing_has_its_own_figures(made):
    patients, made = made[0]["patients"]["asc-net"][0], made[1]
    plain, tidy = row(made["p2-table-1"], "ASC-Net"), row(made["p2-table-1"], "ASC-Net + post-processing")
    assert cell(tidy, "Dice, pooled") == f"{patients['pooled']['post_processed']['dice']['pooled']:.3f}"
    assert cell(plain, "Dice, pooled") == f"{patients['pooled']['dice']['pooled']:.3f}" != cell(tidy, "Dice, pooled")
    assert cell(tidy, "case mean ± SD over cases") != cell(plain, "case mean ± SD over cases")
    here = row(made["p1-table-2"], "patients")
    assert cell(here, "Dice, slice mean ± SD over slices").startswith(cell(plain, "slice mean ± SD over slices")[:5])
    assert {value for head, value in here.items() if head.startswith("paper")} == {"–"}


def test_the_rule_is_beaten_or_not(made):
    better, worse = row(made[1]["rule"], "cell-pa"), row(made[1]["rule"], "draem")
    assert (better["Dice: better in"], worse["Dice: better in"]) == ("7 of 7", "0 of 7")
    assert float(better["Dice: median difference"]) > 0 > float(worse["Dice: median difference"])


def test_every_method_has_its_lesions_and_false_ones(made):
    found = row(made[1]["methods"], "dark-rule")
    assert cell(found, "detected, over 20 mm") == "0 of 0"
    assert cell(found, "detected, under 10 mm") == "0 of 0"
    assert cell(found, "detected, 10 to 20 mm") == "8 of 8"
    assert found["false lesions per scan"] == f"{10 / 9:.1f}"  # one each, and one more where there is no tumour
    assert [line["method"] for line in parts(made[1]["methods"])[0]] == [
        entry.key for entry in METHODS if entry.key in made[0]["patients"]
    ]


def test_paper_and_here_are_never_one_column(made):
    """What stands under a paper's head does not depend on the record, and everything else stands there because of it."""
    empty = tables({dataset: {} for dataset in DATASETS})
    for name, text in made[1].items():
        for full, bare in zip(parts(text), parts(empty[name]), strict=False):
            for one, other in zip(full, bare, strict=False):
                label, *heads = one
                if label != "switch" and one[label] == other.get(label):
                    for head in heads:
                        assert one[head] == other[head] if head.startswith("paper (") else other[head] == "–", (name, head)
    heads = [head for text in made[1].values() for table in parts(text) for head in table[0]]
    assert sum(head.startswith("paper (") for head in heads) >= 15
    assert not [head for head in heads if "paper" in head and "here" in head]


def test_published_figures_are_fractions_of_methods_that_exist():
    lines = [
        line
        for name, value in vars(published).items()
        if re.fullmatch(r"P\d_TABLE\w*(?<!HEAD)", name)
        for line in (value if isinstance(value, tuple) else sum(value.values(), ()))
    ]
    assert len(lines) > 50
    assert {line.key for line in lines} - {""} <= {entry.key for entry in METHODS}
    for line in lines:
        for text in line.paper:
            numbers = re.findall(r"\d+(?:\.\d+)?", text)
            assert numbers, line
            assert all(0 < float(number) < 1 and number.startswith("0.") for number in numbers), line


def test_only_whole_runs_of_one_length_are_brought_in(put, tmp_path):
    put("patients", "dae", hit=2)
    put("patients", "dae", hit=6, budget=50)
    put("patients", "dae", hit=3, seed=1)
    (tmp_path / "runs" / f"patients-dae-f2-s1-b{BUDGET}.json").unlink()
    assert gather(tmp_path / "runs", tmp_path / "record") == ["lengths/patients-dae-50.json", "patients-dae.json"]
    (seed,) = seeds_of("patients", tmp_path / "record")["dae"]
    assert (seed["steps"], len(seed["cases"])) == (BUDGET, 9)
    assert seed["cases"][0]["dice"] == pytest.approx(dice(2), abs=1e-5)


def test_other_lengths_stand_in_a_table_of_their_own(put, tmp_path):
    """Beside that of the comparison, in the order of length, and nowhere else."""
    put("patients", "dae", hit=2)
    put("patients", "dae", hit=4, budget=2100)
    put("patients", "dae", hit=1, budget=50)
    put("patients", "draem", hit=1)
    put("phantom", "vae", hit=1, budget=7000)  # without one as long as the comparison's
    record = tmp_path / "record"
    gather(tmp_path / "runs", record)
    found = {dataset: seeds_of(dataset, record) for dataset in DATASETS}
    made = tables(found, None, {dataset: lengths_of(dataset, record) for dataset in DATASETS})
    patients, phantom = parts(made["lengths"])
    assert [(line["method"], line["steps"]) for line in patients] == [("dae", "50"), ("dae", str(BUDGET)), ("dae", "2100")]
    assert patients[0]["Dice, pooled"] < patients[1]["Dice, pooled"] < patients[2]["Dice, pooled"]
    assert patients[1]["Dice, pooled"] == row(made["methods"], "dae")["Dice, pooled"]
    assert [(line["method"], line["steps"]) for line in phantom] == [("vae", "7000")]
    assert "vae" not in "".join(text for name, text in made.items() if name in ("methods", "rule"))
    assert "Nothing is on record yet." in tables(found)["lengths"]


def test_seeds_on_record_stay_beside_new_ones_of_the_same_cases_and_length(put, tmp_path):
    put("patients", "dae", hit=2)
    gather(tmp_path / "runs", tmp_path / "record")
    for file in (tmp_path / "runs").glob("*.json"):
        file.unlink()
    put("patients", "dae", hit=3, seed=2)
    gather(tmp_path / "runs", tmp_path / "record")
    kept = seeds_of("patients", tmp_path / "record")["dae"]
    assert [(seed["seed"], seed["cases"][0]["dice"]) for seed in kept] == [
        (0, pytest.approx(dice(2), abs=1e-5)),
        (2, pytest.approx(dice(3), abs=1e-5)),
    ]
    put("patients", "dae", hit=4, seed=2, budget=50)
    gather(tmp_path / "runs", tmp_path / "record", 50)  # another length: a comparison of its own
    assert [(seed["seed"], seed["steps"]) for seed in seeds_of("patients", tmp_path / "record")["dae"]] == [(2, 50)]
