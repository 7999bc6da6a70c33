"""What a model would see: synthetic anomalies and inserted lesions of known place, drawn into a scan and searched."""

from napari_liver_anomaly.detection.known_lesions import KnownLesion
from napari_liver_anomaly.detection.synthetic_search import SyntheticSearch, search_synthetic

__all__ = ["KnownLesion", "SyntheticSearch", "search_synthetic"]
