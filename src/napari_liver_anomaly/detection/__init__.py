"""What a model would see: synthetic anomalies and inserted lesions of known place, drawn into a scan and searched."""

from napari_liver_anomaly.detection.detection_limit import (
    DetectionLimit,
    DetectionLimitSettings,
    InsertedLesion,
    detection_limit,
)
from napari_liver_anomaly.detection.known_lesions import KnownLesion
from napari_liver_anomaly.detection.synthetic_search import SyntheticSearch, search_synthetic

__all__ = [
    "DetectionLimit",
    "DetectionLimitSettings",
    "InsertedLesion",
    "KnownLesion",
    "SyntheticSearch",
    "detection_limit",
    "search_synthetic",
]
