"""What napari.yaml names: reader, writer, samples, the menu command. The two dock widgets are named there directly.

napari imports this room when a file is opened or a menu entry is used, so nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Level, Refusal
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

    LayerData = tuple[Any, ...]

PLUGIN = "napari-liver-anomaly"
PANEL = "Liver tumours (Liver Anomaly)"  # the name napari gives the dock when it is opened from the menu, so that it opens once
NO_LAYERS: list[LayerData] = [(None,)]  # what napari takes for "read, and there is nothing to show"
ASKED_THERE = "Open it in the panel 'Liver tumours', which asks."


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Offer our reader for a path, cheaply."""
    from napari_liver_anomaly.io import can_read

    first = path if isinstance(path, str) else next(iter(path), "")
    return read_layers if first and can_read(first) else None


def get_session_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Offer to open a session."""
    first = path if isinstance(path, str) else next(iter(path), "")
    return open_session if first.endswith(".liver-session") else None


def open_session(path: str | Sequence[str]) -> list[LayerData]:
    """Open a session in the panel, which shows its layers; a reader could not."""
    from pathlib import Path

    session = Path(path if isinstance(path, str) else path[0])
    if not _ask_in_panel(session):
        raise make_refusal("session-without-window")
    return NO_LAYERS


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read a scan as layer data."""
    from pathlib import Path

    from napari_liver_anomaly.gui.layers import scan_layer
    from napari_liver_anomaly.io import read
    from napari_liver_anomaly.io.recent_scans import remember_scan

    scan = Path(path if isinstance(path, str) else Path(path[0]).parent)
    try:
        volume = read(scan)
    except Refusal as refusal:
        if not refusal.finding.answers:
            raise type(refusal)(_as_text(refusal.finding)) from None
        if _ask_in_panel(scan):
            return NO_LAYERS
        raise type(refusal)(_as_text(replace(refusal.finding, action=ASKED_THERE))) from None
    remember_scan(scan)
    _finish_new_layers()
    if not _is_panel_open():  # which tells it
        _tell([str(finding) for finding in volume.findings if finding.level is Level.ASK])
    return [scan_layer(volume, volume.findings, scan)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as ``.nii.gz`` on the grid of its scan's file."""
    import napari
    import numpy as np

    from napari_liver_anomaly.gui.layers import KEY, Tag, inputs_of
    from napari_liver_anomaly.io import write_labels as write

    tag = attributes.get("metadata", {}).get(KEY)
    geometry = tag.geometry if isinstance(tag, Tag) else _geometry_below(np.shape(data), attributes)
    if geometry is None or geometry.shape != np.shape(data):
        raise make_refusal("labels-without-scan")
    write(np.asarray(data), geometry, path, inputs_of(napari.current_viewer()))
    return [path]


def healthy_phantom() -> list[LayerData]:
    """Make the sample without tumours."""
    return _phantom(tumours=False)


def phantom_with_tumours() -> list[LayerData]:
    """Make the sample with tumours."""
    return _phantom(tumours=True)


def segment_liver_tumours(viewer: Viewer) -> TumourPanel:
    """Open the panel, and start the run when a scan is there."""
    panel = panel_of(viewer)
    panel.segment()
    return panel


def panel_of(viewer: Viewer) -> TumourPanel:
    """Bring the viewer's panel to the front; open it where there is none."""
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

    panel = TumourPanel.of(viewer)
    if panel is None:
        panel = TumourPanel(viewer)
        viewer.window.add_dock_widget(panel, name=PANEL, area="right")
    else:
        panel.bring_forward()
    return panel


def _ask_in_panel(scan: Path) -> bool:
    """Open a scan in the panel once napari has done with it, for a reader has no way to ask; False where there is no window."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None or not hasattr(viewer, "window"):
        return False
    from qtpy.QtCore import QTimer

    QTimer.singleShot(0, lambda: panel_of(viewer).open([scan]))
    return True


def _finish_new_layers() -> None:
    """Let the viewer finish our layers when it has made them: napari's readers cannot say all that a layer needs."""
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        viewer.layers.events.inserted.connect(_finish)


def _finish(event: Any) -> None:
    from napari_liver_anomaly.gui.layers import finish

    finish(event.value)


def _tell(sentences: list[str]) -> None:
    if sentences:
        from napari.utils.notifications import show_warning

        show_warning(_letters(" ".join(sentences)))


def _as_text(finding: Finding) -> Finding:
    """Write a finding so that napari, which shows what looks like HTML as such, shows it letter by letter: what stands in a file is text."""
    return replace(finding, what=_letters(finding.what), meaning=_letters(finding.meaning), action=_letters(finding.action))


def _letters(text: str) -> str:
    return text.replace("<", "‹").replace(">", "›")


def _is_panel_open() -> bool:
    import napari

    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

    viewer = napari.current_viewer()
    return viewer is not None and TumourPanel.of(viewer) is not None


def _phantom(*, tumours: bool) -> list[LayerData]:
    from napari_liver_anomaly.gui.layers import liver_layer, scan_layer
    from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

    sample = make_phantom(PhantomSettings(tumours=tumours))
    _finish_new_layers()
    return [scan_layer(sample.volume), liver_layer(sample.liver, sample.volume)]


def _geometry_below(shape: tuple[int, ...], attributes: dict[str, Any]) -> Any:
    """Find the grid of the scan that a layer drawn by hand lies on: same shape, same place."""
    import napari
    import numpy as np

    from napari_liver_anomaly.gui.layers import Role, tag_of

    viewer = napari.current_viewer()
    found = {}
    for layer in viewer.layers if viewer is not None else ():
        tag = tag_of(layer)
        if tag is None or tag.role is not Role.SCAN or tag.geometry is None or tag.geometry.shape != shape:
            continue
        if all(np.allclose(getattr(layer, name), attributes.get(name, np.nan)) for name in ("scale", "translate")):
            found[tag.scan] = tag.geometry
    return next(iter(found.values())) if len(found) == 1 else None
