"""Healthy livers in one small file."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_liver_anomaly.errors import Refusal, UnreadableFile
from napari_liver_anomaly.preprocessing import PreprocessSettings, prepare
from napari_liver_anomaly.training.training_file import pack_case, read_training_set, write_training_set
from napari_liver_anomaly.training.training_set import slices_of

SPACING = (2.0, 0.8, 0.9)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:8, :100, :120]
    liver = np.broadcast_to(((y - 60) / 25) ** 2 + ((x - 50) / 35) ** 2 < 1, (8, 100, 120)) & (z > 1)
    hu = np.where(liver, rng.normal(100, 20, liver.shape), -700).round().astype(np.int16)
    tumours = np.zeros_like(liver)
    tumours[4, 55:60, 45:50] = True
    return hu, liver, tumours


def test_there_and_back_within_the_grey_step(case, tmp_path):
    hu, liver, tumours = case
    write_training_set([pack_case(hu, liver, tumours, SPACING, scan="abcd", name="one")], tmp_path / "x.npz")
    (scan,) = read_training_set(tmp_path / "x.npz")
    back, mask, healthy = scan.whole()
    assert back.shape == hu.shape
    assert np.abs(back[liver] - np.clip(hu[liver], -200, 310)).max() <= 1
    assert np.array_equal(mask, liver)
    assert healthy.tolist() == [False, False, True, True, False, True, True, True]
    assert (scan.scan, scan.name, scan.spacing_mm) == ("abcd", "one", SPACING)


def test_training_sees_what_inference_sees(case):
    """The same slices come out of the packed file and out of the scan, to within the packed file's 2 HU."""
    hu, liver, _ = case
    settings = PreprocessSettings(geometry="liver", window_low_hu=-45, window_high_hu=160)
    packed = slices_of([pack_case(hu, liver, None, SPACING, scan="a")], settings)
    direct = prepare(hu, liver, SPACING, settings)
    assert len(packed) == len(direct.images)
    for ours, theirs in zip(packed.images, direct.images, strict=True):
        assert np.abs(ours - theirs).max() <= 1.5 / settings.hu_per_unit


def test_no_healthy_slice_is_refused(case):
    hu, liver, _ = case
    with pytest.raises(Refusal, match="no healthy liver slice"):
        slices_of([pack_case(hu, liver, liver, SPACING, scan="a")], PreprocessSettings())


def test_an_empty_liver_is_refused(case):
    with pytest.raises(Refusal, match="empty"):
        pack_case(case[0], np.zeros_like(case[1]), None, SPACING, scan="a")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="not a readable file"):
        read_training_set(path)


def test_a_machine_that_only_trains_needs_no_reader_of_medical_files():
    """It needs the packed file, torch, numpy, scipy, scikit-image and safetensors."""
    blocked = "import sys\nfor name in ('nibabel', 'pydicom', 'nrrd', 'qtpy', 'napari', 'magicgui', 'superqt', 'tqdm'): sys.modules[name] = None\n"
    code = blocked + (
        "import numpy as np\n"
        "from napari_liver_anomaly.training.training_file import pack_case\n"
        "from napari_liver_anomaly.training.fit import fit_and_save\n"
        "from napari_liver_anomaly.models.two_stage import CONFIGS\n"
        "liver = np.zeros((3, 60, 60), bool); liver[:, 10:50, 10:50] = True\n"
        "scan = pack_case(np.full((3, 60, 60), 100, np.int16), liver, None, (2.0, 1.0, 1.0), scan='a')\n"
        "import dataclasses, tempfile, pathlib\n"
        "preset = CONFIGS['compact']\n"
        "short = dataclasses.replace(preset.schedule, restorer_steps=1, segmenter_steps=1, segmenter_epochs=0, batch=1)\n"
        "fit_and_save([scan], dataclasses.replace(preset, schedule=short), pathlib.Path(tempfile.mkdtemp()) / 'm.safetensors')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
