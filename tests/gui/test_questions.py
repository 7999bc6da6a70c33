"""Questions about a scan that is opened: asked in the panel, answered by a button, and read again with every answer so far."""

from __future__ import annotations

import napari
import numpy as np
import pytest

from builders import PLAIN_AFFINE, ct, nifti_file, refusal_of
from napari_liver_anomaly import io as reading
from napari_liver_anomaly.errors import Answer, Question, Refusal, UnreadableFile
from napari_liver_anomaly.gui import hooks
from napari_liver_anomaly.gui.layers import Role, tag_of
from napari_liver_anomaly.gui.message_area import MessageArea
from napari_liver_anomaly.io import write_image
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

FLIPPED = PLAIN_AFFINE @ np.diag([-1.0, 1, 1, 1])
POSITIONS = ("Left is at the last column (sform)", "Left is at the first column (qform)", "Leave it")


@pytest.fixture
def asked_panel(make_panel, viewer, qtbot):
    """A panel, and a way to open paths that waits for the question."""
    panel = make_panel(viewer)

    def ask(*paths):
        with qtbot.waitSignal(panel.asked, timeout=30_000):
            panel.open(list(paths))
        return panel

    return ask


@pytest.fixture
def two_positions(tmp_path):
    return nifti_file(tmp_path / "two.nii.gz", qform=FLIPPED)


def answer(panel, words, qtbot, signal="loaded"):
    with qtbot.waitSignal(getattr(panel, signal), timeout=30_000):
        panel.scans.question.press(words)


def names(viewer):
    return [layer.name for layer in viewer.layers]


@pytest.mark.parametrize(("words", "name"), [(POSITIONS[0], "sform"), (POSITIONS[1], "qform")])
def test_two_positions_are_asked_and_the_chosen_one_counts(asked_panel, two_positions, viewer, qtbot, words, name):
    panel = asked_panel(two_positions)
    question = panel.scans.question
    assert question.isVisibleTo(panel) and not names(viewer) and not panel.messages.text
    assert question.text.startswith("Two positions in this file disagree") and question.text.count(".") >= 3
    assert question.answers == tuple(question.buttons) == POSITIONS
    assert "option" not in question.text and "--" not in question.text, "plain words, no flags"
    answer(panel, words, qtbot)
    (layer,) = viewer.layers
    expected = reading.read(two_positions, ReadOptions(position=name))
    assert np.array_equal(layer.data, expected.voxels) and tag_of(layer).role is Role.SCAN
    assert f"the {name} is used" in panel.messages.text, "what was chosen is told"
    assert not question.isVisibleTo(panel) and panel.scans.box.file.isEnabled()


def test_left_alone_nothing_is_opened_and_the_others_are(asked_panel, two_positions, tmp_path, viewer, qtbot):
    plain = [nifti_file(tmp_path / f"{name}.nii") for name in ("before", "after")]
    panel = asked_panel(plain[0], two_positions, plain[1])
    assert names(viewer) == ["before"], "what came before the question is there"
    answer(panel, "Leave it", qtbot)
    assert names(viewer) == ["before", "after"] and not panel.scans.question.isVisibleTo(panel)


def test_several_questions_about_one_scan_add_up(asked_panel, tmp_path, viewer, qtbot):
    values = np.stack([ct(), ct() + 1, ct() + 2], axis=-1)[:, :, :, :]
    path = nifti_file(tmp_path / "three.nii", values, qform=FLIPPED)
    panel = asked_panel(path)
    seen = set()
    for words in ("Volume 2", POSITIONS[0]) if "Volume 2" in panel.scans.question.answers else (POSITIONS[0], "Volume 2"):
        seen.add(panel.scans.question.text)
        answer(panel, words, qtbot, "loaded" if len(seen) == 2 else "asked")
    expected = reading.read(path, ReadOptions(position="sform", volume=2))
    assert len(seen) == 2 and np.array_equal(viewer.layers[0].data, expected.voxels)
    assert tag_of(viewer.layers[0]).findings == expected.findings and len(expected.findings) == 2
    assert all(str(finding) in panel.messages.text for finding in expected.findings), "both notes are told"


def test_a_refusal_with_a_way_out_is_asked_as_well(asked_panel, tmp_path, viewer, qtbot, monkeypatch):
    """Missing slices are refused, unless the user wants them filled."""
    plain = reading.read(nifti_file(tmp_path / "plain.nii"))
    given = []

    def read(path, answers, *, job):
        given.append(answers)
        if answers.gaps == "ask":
            fill = Answer(words="Fill the gap", option="gaps", value="fill")
            raise refusal_of(UnreadableFile, "slices-missing", "A slice is missing.", "Sizes are wrong.", "Fill it.", (fill,))
        return plain

    monkeypatch.setattr(reading, "read", read)
    panel = asked_panel(tmp_path / "plain.nii")
    assert panel.scans.question.answers == ("Fill the gap", "Leave it")
    answer(panel, "Fill the gap", qtbot)
    assert [answers.gaps for answers in given] == ["ask", "fill"] and names(viewer) == ["plain"]


def test_an_answer_that_leads_to_a_refusal_ends_in_words(asked_panel, two_positions, viewer, qtbot, monkeypatch):
    panel = asked_panel(two_positions)
    monkeypatch.setattr(
        reading, "read", lambda *_, **__: (_ for _ in ()).throw(refusal_of(Refusal, "x", "No.", "Not so.", "Leave."))
    )
    with qtbot.waitSignal(panel.scans.reading.ended, timeout=30_000):
        panel.scans.question.press(POSITIONS[0])
    assert panel.messages.text == "No. Not so. Leave." and not panel.scans.question.isVisibleTo(panel) and not names(viewer)


def test_many_answers_stand_in_a_list(asked_panel, tmp_path, viewer, qtbot):
    path = nifti_file(tmp_path / "seven.nii", np.stack([ct() + n for n in range(7)], axis=-1))
    panel = asked_panel(path)
    assert list(panel.scans.question.buttons) == ["Go on", "Leave it"] and len(panel.scans.question.answers) == 8
    answer(panel, "Volume 6", qtbot)
    assert viewer.layers[0].data[5, 8, 8] == reading.read(path, ReadOptions(volume=6)).voxels[5, 8, 8]


def test_a_question_waits_while_other_things_go_on(asked_panel, two_positions, tmp_path, viewer, qtbot, run):
    """Opening another scan, running and messages leave it where it is; a second question waits for the first."""
    panel = asked_panel(two_positions)
    second = nifti_file(tmp_path / "unknown.nii", codes=(0, 0))
    first_text = panel.scans.question.text
    with qtbot.waitSignal(panel.asked, timeout=30_000):
        panel.open([second])
    panel.segment()
    assert panel.scans.question.text == first_text
    panel.scans.question.press("Leave it")
    assert panel.scans.question.text.startswith("Left and right are unknown") and panel.scans.question.isVisibleTo(panel)
    answer(panel, "Go on; mark sides as unverified", qtbot)
    assert names(viewer) == ["unknown"] and "unverified" in panel.messages.text


def test_scans_opened_while_one_is_read_wait_for_it(make_panel, viewer, tmp_path, qtbot):
    panel = make_panel(viewer)
    for name in ("a", "b", "c"):
        panel.open([nifti_file(tmp_path / f"{name}.nii")])
    qtbot.waitUntil(lambda: len(viewer.layers) == 3 and not panel.scans.reading.busy, timeout=30_000)
    assert names(viewer) == ["a", "b", "c"] and panel.scans.box.file.isEnabled()


def test_long_answers_fit_the_panel(qtbot):
    """They stand below each other and are cut, with the whole in the tool tip; short ones share a line."""
    messages = MessageArea()
    qtbot.addWidget(messages)
    long = "A very long answer that nobody would want to read on a button, but that somebody wrote all the same"
    messages.ask("Which?", {long: lambda: None, "Short": lambda: None})
    messages.resize(300, 200)
    button = messages.buttons[long]
    qtbot.waitUntil(lambda: button.width() <= 300)
    assert button.text().endswith("…") and button.toolTip() == long
    tops = [b.y() for b in messages.buttons.values()]
    assert len(set(tops)) == 3 and messages.minimumSizeHint().width() < 300
    messages.ask("Go on?", {"Segment anyway": lambda: None})
    messages.grab()
    assert len({b.y() for b in messages.buttons.values()}) == 1


def test_dropped_on_the_canvas_the_panel_asks(make_napari_viewer, two_positions, qtbot):
    """napari's own way of opening has no place for a question."""
    viewer = make_napari_viewer()
    assert hooks.read_layers(str(two_positions)) == [(None,)]
    qtbot.waitUntil(lambda: hooks.PANEL in viewer.window.dock_widgets, timeout=30_000)
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

    panel = TumourPanel.of(viewer)
    qtbot.waitUntil(lambda: bool(panel.scans.question.text), timeout=30_000)
    answer(panel, POSITIONS[1], qtbot)
    assert names(viewer) == ["two"]


def test_without_a_window_it_is_refused_with_the_way_to_the_panel(two_positions, viewer, monkeypatch):
    for current in (None, viewer):
        monkeypatch.setattr(napari, "current_viewer", lambda current=current: current)
        with pytest.raises(Question, match="Two positions") as raised:
            hooks.read_layers(str(two_positions))
        assert str(raised.value).endswith("Open it in the panel 'Liver tumours', which asks.")
        assert raised.value.finding.answers


def test_labels_of_a_liver_mask_are_asked_and_the_mask_is_judged(make_panel, viewer, tmp_path, qtbot):
    """A file of liver and tumour, as many data sets have it, leads on in the panel; a mask that is no liver is asked about."""
    sample = make_phantom(PhantomSettings(slices=24, size_px=128))
    panel = make_panel(viewer)
    scan, mask = tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz"
    write_image(sample.volume.voxels, sample.volume.geometry, scan)
    tumours = sample.liver.voxels & sample.tumours.voxels
    write_image(sample.liver.voxels.astype(np.uint8) + tumours, sample.volume.geometry, mask)
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.open([scan])
    with qtbot.waitSignal(panel.asked, timeout=30_000):
        panel.open_liver(mask)
    assert "labels" in panel.scans.question.text and names(viewer) == ["scan"]
    (both,) = [words for words in panel.scans.question.answers if "1+2" in words or "all" in words.lower()][:1]
    answer(panel, both, qtbot)
    assert np.array_equal(viewer.layers[-1].data > 0, sample.liver.voxels)
    assert tag_of(viewer.layers[-1]).role is Role.LIVER
    little = np.zeros_like(sample.liver.voxels)
    little[tuple(np.argwhere(sample.liver.voxels)[0])] = True
    write_image(little.astype(np.uint8), sample.volume.geometry, tmp_path / "little.nii.gz")
    with qtbot.waitSignal(panel.asked, timeout=30_000):
        panel.open_liver(tmp_path / "little.nii.gz")
    assert "does not look like a liver" in panel.scans.question.text
