"""The report for people: its pictures show what it says, foreign text stays text, and nobody is named unless that was wanted."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from builders import STUDY, dicom_series, nifti_file, searched
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io import read, report_content, write
from napari_liver_anomaly.io.export_options import ExportOptions
from napari_liver_anomaly.io.report_content import content_of, legend_of, measured_on
from napari_liver_anomaly.io.report_html import report_html
from napari_liver_anomaly.io.report_pictures import lesion_picture
from napari_liver_anomaly.messages import make_finding
from napari_liver_anomaly.notebook import TUMOUR

REPORT, NAMED = ExportOptions(report=True), ExportOptions(report=True, patient=True)


class Page(HTMLParser):
    """Tags, places that they load from, and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.sources, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.words += data


def pages_of(path):
    """The words of each page of a PDF, by another program."""
    if not (reader := shutil.which("pdftotext")):
        pytest.skip("pdftotext is not installed: it comes with poppler-utils")
    text = subprocess.run([reader, "-layout", str(path), "-"], capture_output=True, check=True).stdout.decode()
    return text.split("\f")[:-1]


@pytest.fixture
def volume(tmp_path):
    return read(dicom_series(tmp_path / "ct", tags=STUDY))


def test_it_is_written_with_the_other_results_and_loads_nothing(tmp_path, volume):
    result = searched(
        volume, origins={2: "corrected"}, about_model={"Results": "Dice 0.55"}, findings=(make_finding("corrected-by-hand"),)
    )
    names = [path.name for path in write(result, tmp_path / "out", also=REPORT)]
    assert names[-4:] == ["report.html", "report.pdf", "lesions.csv", "report.json"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["files"] == names
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert len(page.sources) == 3 and all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "script" not in page.tags and "link" not in page.tags
    first = result.lesions[0]
    wanted = [
        result.summary, f"{first.long_mm:.1f} × {first.short_mm:.1f} mm", "by the program, corrected", "Dice 0.55", "ab" * 32,
        f"({volume.place_of(measured_on(result, first))}): lesion 1 in red", "counted from 0 at the head",
        "The lesions were corrected by hand.", "Score to reach", "Smallest lesion", "50 mm³", volume.identity, NOT_A_MEDICAL_DEVICE,
    ]  # fmt: skip
    assert not [words for words in wanted if words not in page.words]
    number = measured_on(result, first)
    with open(tmp_path / "out" / "lesions.csv", newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["largest_slice"], row["image"]) == (str(number), str(volume.image_of(number).number)) and row["image"]
    assert float(row["largest_slice_mm"]) == pytest.approx(volume.geometry.slice_mm(number))
    printed = "\n".join(pages_of(tmp_path / "out" / "report.pdf"))
    assert all(words in printed for words in (f"{first.long_mm:.1f} × {first.short_mm:.1f} mm", "Lesion 2", "Dice 0.55"))
    write(result, tmp_path / "out", replace=True)
    assert not (tmp_path / "out" / "report.html").exists(), "a report of an earlier run"


def test_every_page_says_that_it_is_no_medical_device(tmp_path, volume):
    write(searched(volume), tmp_path / "out", also=REPORT)
    pages = pages_of(tmp_path / "out" / "report.pdf")
    assert pages and all(NOT_A_MEDICAL_DEVICE in page for page in pages)


def test_nothing_found_is_said(tmp_path, volume):
    page = Page(report_html(content_of(searched(volume, lesions=0), (), sides_known=True)))
    assert "nothing found" in page.words and page.tags.count("img") == 1 and "Long diameters" not in page.words


def test_a_lesion_that_may_be_a_cyst_is_told_to_people_and_programs(tmp_path, volume):
    plain = searched(volume)
    result = replace(plain, lesions=(replace(plain.lesions[0], may_be_cyst=True), plain.lesions[1]))
    content = content_of(result, (), sides_known=True)
    assert [row[3].endswith(" cyst?") for row in content.table] == [True, False]
    assert "May be" in dict(content.lesions[0].rows) and "May be" not in dict(content.lesions[1].rows)
    assert "a hint, not a finding" in legend_of(content) and "Cyst" not in legend_of(content_of(plain, (), sides_known=True))
    write(result, tmp_path / "out")
    with open(tmp_path / "out" / "lesions.csv", newline="", encoding="utf-8") as file:
        assert [row["may_be_cyst"] for row in csv.DictReader(file)] == ["yes", "no"]
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [lesion["may_be_cyst"] for lesion in told["lesions"]] == [True, False]


def test_the_patient_is_named_only_where_that_was_wanted(tmp_path, volume):
    write(searched(volume), tmp_path / "plain", also=REPORT)
    write(searched(volume), tmp_path / "named", also=NAMED)
    words = {name: Page((tmp_path / name / "report.html").read_text(encoding="utf-8")).words for name in ("plain", "named")}
    told = ("MUSTERMANN^ERIKA", "4711", "19640812", "20260102")
    assert not [word for word in told if word in words["plain"]] and all(word in words["named"] for word in told)
    assert "MUSTERMANN" not in "".join(pages_of(tmp_path / "plain" / "report.pdf"))
    assert "MUSTERMANN^ERIKA" in pages_of(tmp_path / "named" / "report.pdf")[0]
    scan = read(nifti_file(tmp_path / "mustermann.nii"))
    write(searched(scan), tmp_path / "file", also=NAMED)
    assert "mustermann" in Page((tmp_path / "file" / "report.html").read_text(encoding="utf-8")).words


def test_foreign_text_stays_text(tmp_path):
    evil = "<img src=x onerror=alert(1)> &amp; {{ 7 * 7 }} <para>肝"
    scan = read(nifti_file(tmp_path / "ct.nii"))
    object.__setattr__(scan, "name", evil)
    result = searched(scan, model=evil, about_model={"Kind": evil})
    write(result, tmp_path / "out", also=NAMED)
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.words.count(evil) == 3 and page.tags.count("img") == 3 and "para" not in page.tags
    printed = " ".join("".join(pages_of(tmp_path / "out" / "report.pdf")).split())
    assert printed.count(evil.replace("肝", "?")) == 3 and "that the font of this file lacks" in printed


def test_only_the_largest_of_many_have_a_picture(volume, monkeypatch):
    monkeypatch.setattr(report_content, "MOST_PICTURES", 1)
    page = Page(report_html(content_of(searched(volume), (), sides_known=False)))
    assert page.tags.count("img") == 2 and "The 1 largest lesions have a picture." in page.words
    assert "Left and right are not verified." in page.words


def test_the_contour_of_a_picture_lies_on_the_lesion(volume):
    result = searched(volume)
    picture = lesion_picture(result, result.lesions[0], 3)
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    rows, columns = np.nonzero((pixels == TUMOUR).all(axis=-1))
    middle = np.array([rows.min() + rows.max() + 1, columns.min() + columns.max() + 1]) / 2
    where = middle * (picture.height_mm / pixels.shape[0], picture.width_mm / pixels.shape[1])
    _, *spacing = volume.geometry.spacing_mm
    wanted = (np.array(result.lesions[0].centroid_index[1:]) + 0.5) * spacing  # the whole of this small scan is shown
    assert np.allclose(where, wanted, atol=0.1)
    assert picture.width_mm / picture.height_mm == pytest.approx(pixels.shape[1] / pixels.shape[0], rel=0.01)


def test_pictures_hold_no_text_but_the_picture(volume):
    found = re.findall(r"base64,([^\"]+)", report_html(content_of(searched(volume), (), sides_known=True)))
    assert found and all(Image.open(io.BytesIO(base64.b64decode(one))).info == {} for one in found)


@pytest.mark.parametrize("from_slices", [False, True])
def test_the_name_of_the_scans_file_is_written_only_where_that_was_wanted(tmp_path, from_slices):
    scan = tmp_path / "NOVAK_JAN" / "NOVAK_4711"
    scan.parent.mkdir()
    volume = read(dicom_series(scan, tags=STUDY) if from_slices else nifti_file(scan.with_name(f"{scan.name}.nii")))
    assert volume.name == scan.name
    found, all_but = {}, ExportOptions(report=True, dicom_seg=from_slices)
    for name, also in {"plain": ExportOptions(), "all": all_but, "named": replace(all_but, scan_name=True)}.items():
        paths = write(searched(volume), tmp_path / name, also=also)
        found[name] = {path.name for path in paths if "NOVAK" in words_in(path)}
    assert found == {"plain": set(), "all": set(), "named": {"report.json", "report.html", "report.pdf"}}
    assert json.loads((tmp_path / "named" / "report.json").read_text(encoding="utf-8"))["scan_name"] == scan.name


def words_in(path):
    """All that a written file says, unpacked."""
    if path.suffix == ".pdf":
        return "".join(pages_of(path))
    return (gzip.decompress if path.suffix == ".gz" else bytes)(path.read_bytes()).decode("latin-1")


def test_a_found_liver_that_was_corrected_is_said_to_be(volume):
    said = dict(content_of(replace(searched(volume), liver_from="corrected"), (), sides_known=True).overview)
    assert said["Liver"].endswith("found by the program, corrected by hand")
