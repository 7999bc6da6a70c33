"""A report as PDF, laid out by ReportLab: pure Python and its own fonts, so that it works on a cluster node and on every system alike."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io.report_content import COLUMNS, legend_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.io.report_content import ReportContent, Rows
    from napari_liver_anomaly.io.report_pictures import Picture

FONTS = {"Vera": "Vera.ttf", "VeraBd": "VeraBd.ttf"}  # they come with ReportLab
MARGIN_MM, FOOT_MM = 18, 10
WIDTH_MM, BESIDE_MM, HIGHEST_MM = 210 - 2 * MARGIN_MM, 70, 100  # of the text, of measures beside a picture, of a picture
NAME_MM, GAP_MM = 33, 4
PADDING_PT = 6  # ReportLab's own, around everything on a page
LIST_MM = (11, 18, 26, 16, 20, 15)  # the last column has the rest
LACKING = "?"
LACKED = "Signs that the font of this file lacks are shown as ?; the report in HTML has them."
INK, FAINT, LINE, WARNING = "#1b1f24", "#57606a", "#d8dee4", "#8a3b00"


def report_pdf(content: ReportContent) -> bytes:
    """Lay a report out on pages of A4, each of which says that this is no medical device."""
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    stream = BytesIO()
    pages = SimpleDocTemplate(
        stream, pagesize=(210 * mm, 297 * mm), title="Liver lesions found by program", author="", creator="napari-liver-anomaly",
        subject=NOT_A_MEDICAL_DEVICE, leftMargin=MARGIN_MM * mm, rightMargin=MARGIN_MM * mm, topMargin=MARGIN_MM * mm,
        bottomMargin=(MARGIN_MM + FOOT_MM) * mm, invariant=True,  # the same result gives the same bytes
    )  # fmt: skip
    pages.build(_Layout().story(content), onFirstPage=_foot, onLaterPages=_foot)
    return stream.getvalue()


def _foot(canvas: Any, pages: Any) -> None:
    from reportlab.lib.units import mm

    canvas.saveState()
    canvas.setFont("VeraBd", 8)
    canvas.setFillColor(WARNING)
    canvas.drawString(MARGIN_MM * mm + PADDING_PT, MARGIN_MM * mm, NOT_A_MEDICAL_DEVICE)
    canvas.setFont("Vera", 8)
    canvas.setFillColor(FAINT)
    canvas.drawRightString((210 - MARGIN_MM) * mm - PADDING_PT, MARGIN_MM * mm, f"Page {pages.page}")
    canvas.restoreState()


class _Layout:
    """Makes the parts of the pages; knows which signs the font lacks."""

    def __init__(self) -> None:
        import reportlab
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.lib.units import mm
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont

        folder = Path(reportlab.__file__).parent / "fonts"
        fonts = {name: TTFont(name, str(folder / file)) for name, file in FONTS.items()}
        for font in fonts.values():
            pdfmetrics.registerFont(font)
        self.signs, self.lacked, self.mm = fonts["Vera"].face.charToGlyph, False, mm
        body = ParagraphStyle("body", fontName="Vera", fontSize=8.5, leading=12, textColor=INK, splitLongWords=True)
        self.styles = {
            "body": body,
            "faint": ParagraphStyle("faint", body, textColor=FAINT),
            "small": ParagraphStyle("small", body, fontSize=7, leading=9.5, textColor=FAINT),
            "title": ParagraphStyle("title", body, fontName="VeraBd", fontSize=15, leading=20),
            "head": ParagraphStyle("head", body, fontName="VeraBd", fontSize=11, leading=15, spaceBefore=12, spaceAfter=4),
            "name": ParagraphStyle("name", body, fontName="VeraBd", fontSize=9.5, leading=13, spaceAfter=2),
            "summary": ParagraphStyle("summary", body, fontSize=10, leading=14, spaceBefore=4, spaceAfter=8),
            "warning": ParagraphStyle("warning", body, fontName="VeraBd", textColor=WARNING),
        }

    def story(self, content: ReportContent) -> list[Any]:
        """Give all parts in their order."""
        from reportlab.platypus import KeepTogether, Spacer

        parts = [self.text("Liver lesions found by program", "title"), self.text(NOT_A_MEDICAL_DEVICE, "warning")]
        if content.patient:
            parts += [Spacer(1, 6), self.rows(content.patient, WIDTH_MM)]
        parts.append(self.text(content.summary, "summary"))
        parts.append(
            self.beside([self.rows(content.overview, BESIDE_MM), Spacer(1, 6), self.text(content.sides)], content.picture)
        )
        if content.table:
            parts += [
                self.text("Lesions", "head"),
                self.listing(content.table),
                Spacer(1, 4),
                self.text(legend_of(content), "small"),
            ]
        for lesion in content.lesions:
            told = [self.text(lesion.title, "name"), self.rows(lesion.rows, BESIDE_MM)]
            parts += [Spacer(1, 10), KeepTogether([self.beside(told, lesion.picture)])]
        if content.notes:
            parts += [self.text("Notes", "head"), *(self.text(note) for note in content.notes)]
        for head, rows in (("Settings", content.settings), ("Model", content.model)):
            parts += [self.text(head, "head"), self.rows(rows, WIDTH_MM)]
        return [*parts, Spacer(1, 8), self.text(LACKED, "small")] if self.lacked else parts

    def text(self, words: str, style: str = "body") -> Any:
        """Set words that may come from a file: none of them is markup."""
        from reportlab.platypus import Paragraph

        known = "".join(sign if sign in "\n\t" or ord(sign) in self.signs else LACKING for sign in words)
        self.lacked = self.lacked or known != words
        return Paragraph(escape(known), self.styles[style])

    def rows(self, rows: Rows, width_mm: float) -> Any:
        """Set names and values in two columns."""
        return self._table([[self.text(name, "faint"), self.text(value)] for name, value in rows], (NAME_MM, width_mm - NAME_MM))

    def listing(self, lines: Sequence[Sequence[str]]) -> Any:
        """Set the table of all lesions, its head on every page."""
        cells = [[self.text(name, "faint") for name in COLUMNS], *([self.text(cell) for cell in line] for line in lines)]
        made = self._table(cells, (*LIST_MM, WIDTH_MM - sum(LIST_MM)), repeatRows=1)
        made.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE)])
        return made

    def beside(self, told: list[Any], picture: Picture) -> Any:
        """Set words and a picture side by side."""
        from reportlab.platypus import Image

        wide = WIDTH_MM - BESIDE_MM - GAP_MM
        scale = min(wide / picture.width_mm, HIGHEST_MM / picture.height_mm)
        shown = Image(
            BytesIO(picture.png), picture.width_mm * scale * self.mm, picture.height_mm * scale * self.mm, hAlign="LEFT"
        )
        return self._table([[told, [shown, self.text(picture.words, "small")]]], (BESIDE_MM + GAP_MM, wide))

    def _table(self, cells: list[list[Any]], widths_mm: Sequence[float], **said: Any) -> Any:
        from reportlab.platypus import Table

        made = Table(cells, [width * self.mm for width in widths_mm], hAlign="LEFT", **said)
        made.setStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ])  # fmt: skip
        return made
