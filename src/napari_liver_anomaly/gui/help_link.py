"""Links from a panel to its page of the documentation, opened by the user's browser."""

from __future__ import annotations

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QSizePolicy, QToolButton

DOCS = "https://github.com/napari-liver-anomaly/napari-liver-anomaly/blob/main/docs/"
PAGES = {  # by what they explain: file below docs/, and section
    "Open a scan and choose its liver": "use/panel/open.md",
    "Segment": "use/panel/segment.md",
    "Look": "use/panel/look.md",
    "Review and correct lesions": "use/panel/review.md",
    "Correct": "use/panel/correct.md",
    "Export": "use/panel/export.md",
    "Sessions": "use/panel/sessions.md",
    "Compare with last time": "use/panel/sessions.md#compare-with-last-time",
    "The panel, step by step": "use/radiologists.md",
    "Many scans": "use/panel/many-scans.md",
    "What training draws": "use/synthetic-anomalies.md#look-at-what-training-draws",
    "Would the model see this?": "use/synthetic-anomalies.md#would-the-model-see-this",
    "Detection limit": "use/synthetic-anomalies.md#detection-limit",
    "What can the model see here?": "use/synthetic-anomalies.md",
}


class HelpLink(QToolButton):
    """A small "?" that opens a page of the documentation."""

    def __init__(self, about: str, words: str = "?") -> None:
        super().__init__()
        self.address = QUrl(DOCS + PAGES[about])
        self.setText(words)
        self.setProperty("kind", "link")
        # As tall as the line it stands in, and no line gets taller for it.
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        self.setMinimumHeight(1)
        self.setToolTip(f"Help: {about} (opens your browser)")
        self.setAccessibleName(f"Help: {about}")
        self.clicked.connect(lambda: QDesktopServices.openUrl(self.address))
