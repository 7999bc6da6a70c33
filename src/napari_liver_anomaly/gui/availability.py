"""What cannot be used yet is disabled, and says why where one looks for it: in its tool tip."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QAction
    from qtpy.QtWidgets import QWidget

TIP = "tool tip while enabled"
NO_RESULT, NO_SCAN_YET, NO_MODEL_YET = "Segment a scan first.", "Open a scan first.", "Choose a model first."


def allow(widget: QWidget | QAction, why_not: str = "") -> None:
    """Enable a control, or disable it with the reason as its tool tip; enabled, it has its own tool tip again."""
    if widget.property(TIP) is None:
        widget.setProperty(TIP, widget.toolTip())
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or str(widget.property(TIP)))
