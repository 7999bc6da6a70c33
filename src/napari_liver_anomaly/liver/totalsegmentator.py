"""Adapter for TotalSegmentator, where the user has installed it with its weights; nothing is downloaded or sent.

References
----------
Wasserthal et al., "TotalSegmentator: robust segmentation of 104 anatomic structures in CT images", Radiology: AI 2023.
"""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_liver_anomaly.device import choose
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import checked
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_liver_anomaly.errors import Refusal
    from napari_liver_anomaly.volume import Volume

INSTALL = f"{sys.executable} -m pip install 'napari-liver-anomaly[totalsegmentator]'"
FAST = {297: "Dataset297_*", 298: "Dataset298_*"}  # the 3 mm model, and the 6 mm model that finds where to look


def find_with_totalsegmentator(
    volume: Volume, *, device: str = "auto", job: Job | None = None, unlikely: Literal["ask", "accept"] = "ask"
) -> Mask:
    """Find the liver with TotalSegmentator's 3 mm model."""
    import nibabel

    job = job or Job()
    api = _api()
    where = choose(device)
    job.at("Finding the liver", 0, 1)
    geometry = volume.geometry
    scan = nibabel.Nifti1Image(geometry.to_source(volume.voxels), geometry.source_affine)
    with _offline(api), redirect_stdout(io.StringIO()):
        found = api.totalsegmentator(
            scan, None, ml=True, fast=True, roi_subset=["liver"], quiet=True, device="gpu" if where.type == "cuda" else "cpu"
        )
    job.at("Finding the liver", 1, 1)
    voxels = geometry.to_canonical(np.asarray(found.dataobj) > 0)
    return checked(Mask(voxels.astype(bool), geometry, volume.identity), volume, unlikely)


def _api() -> Any:
    """TotalSegmentator's interface, or a refusal that says what is missing."""
    if find_spec("totalsegmentator") is None:
        raise make_refusal("totalsegmentator-missing", command=INSTALL)
    folder = Path(import_module("totalsegmentator.config").get_weights_dir())
    if not all(any(folder.glob(pattern)) for pattern in FAST.values()):
        raise _no_weights()
    return import_module("totalsegmentator.python_api")


def _no_weights() -> Refusal:
    return make_refusal("totalsegmentator-weights")


@contextmanager
def _offline(api: Any) -> Iterator[None]:
    """While it runs, TotalSegmentator neither fetches weights nor reports its use."""

    def there(task: int, *_: Any, **__: Any) -> None:
        if task not in FAST:
            raise _no_weights()

    kept = {name: getattr(api, name) for name in ("download_pretrained_weights", "send_usage_stats") if hasattr(api, name)}
    api.download_pretrained_weights, api.send_usage_stats = there, lambda *_, **__: None
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(api, name, function)
