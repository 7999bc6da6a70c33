"""A report as one HTML file that holds its pictures; every word that may come from a file is escaped."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io.report_content import COLUMNS, legend_of

if TYPE_CHECKING:
    from napari_liver_anomaly.io.report_content import ReportContent
    from napari_liver_anomaly.io.report_pictures import Picture


def report_html(content: ReportContent) -> str:
    """Lay a report out for a browser, and for its printer."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["inline"] = _inline
    template = made.from_string(files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8"))
    shown = {name: getattr(content, name) for name in content.__dataclass_fields__}
    return template.render(shown, notice=NOT_A_MEDICAL_DEVICE, columns=COLUMNS, legend=legend_of(content)) + "\n"


def _inline(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode('ascii')}"
