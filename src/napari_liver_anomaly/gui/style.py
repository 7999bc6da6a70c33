"""Style of the panels: a few small widgets and one style sheet that follows napari's theme."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMainWindow,
    QMenu,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.help_link import HelpLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qtpy.QtGui import QResizeEvent, QShowEvent

WIDTH_PX = 330
LABEL_PX, COLUMN_GAP_PX = 52, 8
BAR_EDGE_PX = 4  # that a scroll bar has beside it
BUTTON_MARGIN_PX = 20  # of a button's width that its words cannot have
BLUE, BLUE_OVER, AMBER = "#2f6fde", "#2a64cc", "#a85d1a"  # under white words, which they let be read

SHEET = """
QLabel {{ padding: 0px; }}
QLabel[kind="heading"] {{ font-weight: 600; color: {text}; padding-top: 4px; }}
QLabel[kind="small"] {{ color: {faint}; font-size: {small}; }}
QLabel[kind="number"] {{ font-weight: 600; }}
QFrame[kind="line"] {{ background-color: {line}; padding: 0px; }}
QFrame[kind="drop"] {{ border: 1px dashed {faint}; border-radius: 6px; }}
QFrame[kind="drop"][over="true"] {{ border: 2px dashed {blue}; }}
QFrame[kind="message"][level="refuse"] {{ border-left: 3px solid {error}; }}
QFrame[kind="message"][level="ask"] {{ border-left: 3px solid {warning}; }}
QPushButton {{ padding: 4px 8px; }}
QPushButton[kind="primary"] {{ background-color: {blue}; color: white; font-weight: 600; padding: 7px; border-radius: 4px; }}
QPushButton[kind="primary"]:hover {{ background-color: {blue_over}; }}
QPushButton[kind="primary"]:disabled {{ background-color: {line}; color: {faint}; border: 0px; }}
QPushButton[kind="primary"][running="true"] {{ background-color: {amber}; }}
QPushButton[kind="primary"] QLabel {{ background: transparent; color: white; font-size: {small}; font-weight: 400; }}
QPushButton[kind="primary"]:disabled QLabel {{ color: {faint}; }}
QPushButton[kind="choice"] {{ padding: 4px 2px; }}
QPushButton[kind="choice"]:checked {{ background-color: {blue}; color: white; }}
QAbstractSpinBox[kind="short"] {{ min-width: 36px; max-width: 36px; }}
QHeaderView::section {{ background-color: transparent; border: 0px; font-size: {small}; color: {faint}; padding: 0px; }}
QTableView {{ border: 1px solid {line}; border-radius: 3px; font-size: {small}; }}
QProgressBar {{ max-height: 6px; min-height: 6px; border: 0px; border-radius: 3px; background-color: {line}; }}
QProgressBar::chunk {{ background-color: {blue}; border-radius: 3px; }}
QToolButton[kind="link"] {{ border: 0px; background: transparent; color: {link}; font-size: {small}; }}
QToolButton[kind="link"][popupMode="2"] {{ padding-right: 11px; }}
QToolButton[kind="link"]::menu-indicator {{ subcontrol-position: right center; }}
QToolButton[kind="link"]:hover {{ text-decoration: underline; }}
QToolButton[kind="link"]:disabled {{ color: {faint}; }}
QAbstractButton[kind="fold"] {{ border: 0px; padding: 2px; background: transparent; color: {faint}; font-size: {small}; text-align: left; }}
QPushButton[kind="fold"]:hover {{ background-color: {over}; }}
QPushButton[kind="fold"]:focus {{ border: 1px solid {blue}; }}
"""


def sheet(theme: str) -> str:
    """Style sheet of a panel."""
    from napari.utils.theme import get_theme

    colours = get_theme(theme)
    dark = colours.type == "dark"
    size = int("".join(c for c in str(colours.font_size) if c.isdigit()) or 9)
    return SHEET.format(
        text=colours.text.as_hex(), faint="#a3abb8" if dark else "#5a5d63", line=colours.primary.as_hex(), over=colours.foreground.as_hex(),
        error=colours.error.as_hex(), warning=colours.warning.as_hex(), small=f"{size}pt",
        blue=BLUE, link="#7aa7ff" if dark else "#1d59c0", blue_over=BLUE_OVER, amber=AMBER,
    )  # fmt: skip


class Panel(QWidget):
    """A dock widget in napari's theme: a column of sections that scrolls on a small screen, above a foot that is always seen."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._joined = False
        self.setMinimumWidth(WIDTH_PX)
        self.scroller = QScrollArea()
        self.scroller.setWidgetResizable(True)
        self.scroller.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroller.setFrameShape(QFrame.Shape.NoFrame)
        # napari hands panels a proxy whose layers are proxies too, new ones at every look; we tell layers apart by identity.
        self.viewer = getattr(viewer, "__wrapped__", viewer)
        column = QWidget(self.scroller)
        self._column = QVBoxLayout(column)
        self._column.setContentsMargins(8, 2, 8, 4)
        self._column.setSpacing(3)
        self.scroller.setWidget(column)
        if (bar := self.scroller.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._make_room)
        self._foot = QVBoxLayout()
        self._foot.setContentsMargins(8, 2, 8, 4)
        self._foot.setSpacing(3)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.scroller, stretch=1)
        whole.addLayout(self._foot)
        self._follow_theme()
        self._events = EventListener()
        self._events.hear(self.viewer.events.theme, self._follow_theme)

    def sizeHint(self) -> QSize:
        """Say how much room the panel would like: all of its height, so that the dock does not squeeze it."""
        return QSize(WIDTH_PX + 20, self._column.sizeHint().height() + self._foot.sizeHint().height())

    def _make_room(self, _low: int, high: int) -> None:
        """Grow by the width of the scroll bar where there is one, so that it covers nothing."""
        column, bar = self.scroller.widget(), self.scroller.verticalScrollBar()
        if column is not None and bar is not None:
            self.setMinimumWidth(
                max(WIDTH_PX, column.minimumSizeHint().width() + (bar.sizeHint().width() + BAR_EDGE_PX if high else 0))
            )

    def bring_forward(self) -> None:
        """Show the dock, in front of others it shares its place with."""
        if (dock := _dock_of(self)) is not None:
            dock.show()
            dock.raise_()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Share the place of another of our panels, rather than squeeze it."""
        super().showEvent(event)
        QTimer.singleShot(0, self._join_panels)

    def _join_panels(self) -> None:
        dock, window = _dock_of(self), self.window()
        if dock is None or self._joined or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        self._joined = True
        docks = [_dock_of(panel) for panel in window.findChildren(Panel) if panel is not self]
        area = window.dockWidgetArea(dock)
        other = next((found for found in docks if found is not None and window.dockWidgetArea(found) == area), None)
        if other is not None and other not in window.tabifiedDockWidgets(dock):
            window.tabifyDockWidget(other, dock)
            dock.raise_()

    def event(self, event: QEvent | None) -> bool:
        """Notice that the dock was closed: napari takes the panel out of it."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self._joined and _dock_of(self) is None:
            self._leave()
        return bool(super().event(event))

    def _leave(self) -> None:
        """Tidy up when the dock was closed."""

    def _fill(self, sections: Iterable[QWidget], foot: Iterable[QWidget], tall: QWidget | None = None, about: str = "") -> None:
        """Put the sections below each other, one of which may take the room that is left, and the foot with a link to its help below them."""
        for section in sections:
            self._column.addWidget(section, stretch=int(section is tall))
            wheel_needs_focus(section)
        self._column.addStretch(0 if tall is not None else 1)
        self._foot.addWidget(line())
        for widget in foot:
            self._foot.addWidget(widget)
        last = QHBoxLayout()
        last.addWidget(small(NOT_A_MEDICAL_DEVICE), stretch=1)
        if about:
            last.addWidget(HelpLink(about, "Help"))
        self._foot.addLayout(last)

    def _follow_theme(self, _event: object = None) -> None:
        self.setStyleSheet(sheet(self.viewer.theme))


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def heading(text: str) -> QLabel:
    """Title of a section."""
    return _label(text, "heading")


def small(text: str = "") -> QLabel:
    """Small faint text that breaks into lines."""
    label = _label(text, "small")
    label.setWordWrap(True)
    return label


def one_line() -> QElidingLabel:
    """Small faint text on one line, cut with "…" where it is too long."""
    label = QElidingLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("kind", "small")
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return selectable(label)


L = TypeVar("L", bound=QLabel)


def selectable(label: L) -> L:
    """Let the mouse select the text of a label, to copy it; the key Tab passes over it as before."""
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


W = TypeVar("W", bound=QWidget)


def keep_room(widget: W) -> W:
    """Let a widget keep its place while it is hidden, so that nothing moves when it comes."""
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)
    return widget


def say(label: QLabel, text: str) -> None:
    """Show a text, or hide its label when there is none; what may be cut stands in the tool tip as well."""
    label.setText(text)
    label.setVisible(bool(text))
    if isinstance(label, QElidingLabel):
        label.setToolTip(plain(text))


def plain(text: str) -> str:
    """Write a text so that a tool tip, which guesses whether it is HTML, shows it letter by letter."""
    return f"<qt>{escape(text).replace(chr(10), '<br>')}</qt>" if "<" in text else text


class _WheelGuard(QObject):
    """Lets the wheel scroll the panel while what lies below it does not have the focus."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def wheel_needs_focus(widget: QWidget) -> None:
    """Keep the wheel from changing a value that was only passed over."""
    kinds = (QAbstractSlider, QAbstractSpinBox, QComboBox)
    below = [control for kind in kinds for control in widget.findChildren(kind)]
    for control in ([widget] if isinstance(widget, kinds) else []) + below:
        if isinstance(control, QScrollBar) or control.property("wheel needs focus"):
            continue
        control.setProperty("wheel needs focus", True)
        control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        control.installEventFilter(_WheelGuard(control))


class ElidedButton(QPushButton):
    """A button as wide as there is room; words that are too long are cut with "…" and stand in its tool tip."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self._whole = words
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut the words anew."""
        super().resizeEvent(event)
        fits = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width() - BUTTON_MARGIN_PX)
        self.setText(fits)
        self.setToolTip(plain(self._whole) if fits != self._whole else "")


def link(words: str, tip: str, act: Callable[[], object]) -> QToolButton:
    """Words that do something when they are clicked on."""
    button = QToolButton()
    button.setText(words)
    button.setProperty("kind", "link")
    button.setToolTip(tip)
    button.clicked.connect(lambda: act())
    return button


class LinkMenu(QToolButton):
    """Words that open a list of things to do, each with its tip."""

    def __init__(self, words: str, tip: str, entries: Sequence[tuple[str, str, Callable[[], object]]]) -> None:
        super().__init__()
        self.setText(words)
        self.setProperty("kind", "link")
        self.setToolTip(tip)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.setMenu(menu)
        self.entries = {entry: QAction(entry, menu) for entry, _, _ in entries}
        for entry, what, act in entries:
            self.entries[entry].setToolTip(what)
            self.entries[entry].triggered.connect(lambda *_, act=act: act())
            menu.addAction(self.entries[entry])


def side_by_side(*widgets: QWidget) -> QWidget:
    """Widgets of equal width on one line."""
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget, stretch=1)
    return whole


def line() -> QFrame:
    """Thin line between two sections."""
    frame = QFrame()
    frame.setProperty("kind", "line")
    frame.setFixedHeight(1)
    return frame


def form(rows: dict[str, QWidget | QLayout]) -> QFormLayout:
    """Rows of a label and a field, aligned alike in every section."""
    layout = QFormLayout()
    for words, field in rows.items():
        label = QLabel(words)
        label.setMinimumWidth(LABEL_PX)
        named = field if isinstance(field, QWidget) else _first(field)
        if named is not None and not named.accessibleName():
            named.setAccessibleName(words)
        if isinstance(field, QWidget):
            label.setToolTip(field.toolTip())
            if isinstance(field, (QAbstractSpinBox, QComboBox)):
                wheel_needs_focus(field)
        layout.addRow(label, field)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(COLUMN_GAP_PX)
    layout.setVerticalSpacing(4)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


def _first(layout: QLayout) -> QWidget | None:
    item = layout.itemAt(0)
    return item.widget() if item is not None else None


def press_by(button: QAbstractButton, keys: str) -> None:
    """Let keys press a button, wherever in its window the hands are, and say so in its tool tip."""
    button.setShortcut(keys)
    button.setToolTip(f"{button.toolTip()} ({keys})")


def restyle(widget: QWidget, **properties: object) -> None:
    """Set properties the style sheet looks at, and apply it again."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    if (style := widget.style()) is not None:
        style.unpolish(widget)
        style.polish(widget)


def _label(text: str, kind: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setProperty("kind", kind)
    label.setIndent(0)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return selectable(label)
