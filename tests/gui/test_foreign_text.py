"""Text from files is text: markup in it is shown letter by letter; and what is kept or sent names no folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from napari.utils import notifications
from qtpy.QtCore import QPoint, QPointF, QSettings, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QMainWindow,
    QScrollBar,
    QWidget,
)

from builders import refusal_of
from napari_liver_anomaly.errors import Answer, Finding, Level, Question, UnreadableFile
from napari_liver_anomaly.gui import file_dialog, hooks
from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.background import details_of
from napari_liver_anomaly.gui.style import plain

MARKUP = '<h3>Approved</h3><img src="/tmp/x.png"><a href="http://127.0.0.1">here</a>'


def test_markup_is_shown_letter_by_letter_everywhere(panel, viewer):
    panel.model._describe = lambda name: type(panel.model.about)(line=MARKUP, figure=MARKUP, note=MARKUP)
    panel.model._say()
    finding = Finding(level=Level.ASK, code="x", what=MARKUP, meaning=MARKUP, action=MARKUP)
    panel.messages.show_findings(finding)
    panel.scans.question.ask(MARKUP, {MARKUP: lambda: None, MARKUP + "2": lambda: None})
    panel.threshold.tell(MARKUP, MARKUP)
    panel.runbar.tell(MARKUP)
    viewer.layers["case"].name = MARKUP
    labels = [label for label in panel.findChildren(QLabel) if Qt.mightBeRichText(label.text())]
    assert len(labels) >= 7
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in labels)
    tips = [widget.toolTip() for widget in panel.findChildren(QWidget) if Qt.mightBeRichText(widget.toolTip())]
    assert tips and all("<img" not in tip and "&lt;img" in tip for tip in tips)
    assert plain("a plain tip") == "a plain tip"


def test_a_notification_shows_no_markup(monkeypatch):
    told = []
    monkeypatch.setattr(notifications, "show_warning", told.append)
    hooks._tell([MARKUP])
    assert not Qt.mightBeRichText(told[0]) and "Approved" in told[0]


def test_details_to_be_reported_name_no_folder():
    try:
        raise FileNotFoundError(2, "No such file", "/home/someone/Muster_Max/ct/Muster.nii.gz")
    except FileNotFoundError as error:
        details = details_of(error)
    assert "Muster" not in details and "someone" not in details and "test_foreign_text.py" in details


def test_details_name_no_file():
    for name in ("Muster_Max.nii.gz", "Muster, Max 1950.dcm", "Muster"):
        try:
            try:
                raise FileNotFoundError(2, "No such file", name)
            except FileNotFoundError as error:
                raise ValueError(f"cannot read '{name}'") from error
        except ValueError as error:
            details = details_of(error)
        assert "Muster" not in details.replace('("Muster', "").replace('Muster_Max.nii.gz", "Muster', ""), details
        assert "Max" not in details.split("Error: ")[-1]


def test_a_refusal_of_our_reader_shows_no_markup_in_napari(tmp_path, monkeypatch):
    """napari renders the text of an error in its notification."""
    from napari_liver_anomaly import io

    def refuse(*_):
        raise refusal_of(UnreadableFile, "x", MARKUP, MARKUP, MARKUP)

    monkeypatch.setattr(io, "read", refuse)
    with pytest.raises(UnreadableFile, match="Approved") as raised:
        hooks.read_layers(str(tmp_path / "a.nii"))
    assert not Qt.mightBeRichText(str(raised.value)) and "<" not in str(raised.value)


def test_a_dialog_does_not_begin_where_the_last_one_ended(qtbot, monkeypatch):
    began = []
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: began.append(args[2]) or ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *args: began.append(args[2]) or "")
    parent = QWidget()
    qtbot.addWidget(parent)
    file_dialog.ask_file(parent, "t", "*")
    file_dialog.ask_folder(parent, "t")
    assert began == [str(Path.home())] * 2


def test_asking_for_a_file_leaves_no_trace(qtbot, monkeypatch):
    settings = QSettings(QSettings.Scope.UserScope, "QtProject")

    def choose(*_):
        settings.setValue("FileDialog/lastVisited", "file:///home/Muster_Max")
        settings.setValue("FileDialog/history", ["file:///home/Muster_Max"])
        settings.sync()
        return "/home/Muster_Max/ct.nii", ""

    before = {key: settings.value(key) for key in file_dialog.KEPT}
    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    parent = QWidget()
    qtbot.addWidget(parent)
    assert file_dialog.ask_file(parent, "t", "*").name == "ct.nii"
    settings.sync()
    assert {key: settings.value(key) for key in file_dialog.KEPT} == before


def test_no_control_turns_with_the_wheel_unless_it_has_the_focus(panel, viewer, qtbot):
    panel.scans.question.ask("?", {f"answer {n}": lambda: None for n in range(6)})
    other = AnomalyPanel(viewer)
    qtbot.addWidget(other)
    controls = [
        w for p in (panel, other) for kind in (QAbstractSlider, QAbstractSpinBox, QComboBox) for w in p.findChildren(kind)
    ]
    controls = [control for control in controls if not isinstance(control, QScrollBar)]
    assert len(controls) > 20
    for control in controls:
        before = control.currentIndex() if isinstance(control, QComboBox) else control.value()
        where = QPointF(3, 3)
        none, wheel = Qt.KeyboardModifier.NoModifier, QPoint(0, -120)
        for delta in (wheel, -wheel):
            event = QWheelEvent(where, where, delta, delta, Qt.MouseButton.NoButton, none, Qt.ScrollPhase.NoScrollPhase, False)
            QApplication.sendEvent(control, event)
            assert (control.currentIndex() if isinstance(control, QComboBox) else control.value()) == before, control


def test_a_second_panel_shares_the_place_of_the_first(panel, viewer, qtbot):
    from qtpy.QtWidgets import QDockWidget

    window, other = QMainWindow(), AnomalyPanel(viewer)
    qtbot.addWidget(window)
    window.show()
    docks = []
    for widget in (panel, other):
        dock = QDockWidget(window)
        dock.setWidget(widget)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        docks.append(dock)
        qtbot.wait(50)
    assert docks[0] in window.tabifiedDockWidgets(docks[1])
    panel.setParent(None)


def test_a_folder_that_holds_another_result_is_asked_about(make_panel, viewer, sample, run, qtbot, tmp_path):
    answer, calls = Answer(words="Replace them", option="replace", value=""), []

    def write(result, folder, inputs, replace=False):
        calls.append(replace)
        if not replace:
            finding = Finding(level=Level.ASK, code="x", what="Used.", meaning="M.", action="A.", answers=(answer,))
            raise Question(finding)
        return (folder / "a.nii.gz",)

    panel = make_panel(viewer, sample, write=write)
    run(panel)
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.exports.write(tmp_path)
    assert panel.messages.text.startswith("Used.") and panel.messages.answers[0] == "Replace them"
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.messages.press("Replace them")
    assert calls == [False, True] and panel.messages.text == f"Written: 1 file in the folder '{tmp_path.name}'."
