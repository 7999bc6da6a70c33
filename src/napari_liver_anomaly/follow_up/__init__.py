"""Follow-up: the lesions of two scans of one patient side by side."""

from napari_liver_anomaly.follow_up.alignment import Alignment, align
from napari_liver_anomaly.follow_up.matching import FollowedLesion, FollowUp, FollowUpSettings, Reading, follow_up

__all__ = ["Alignment", "FollowUp", "FollowUpSettings", "FollowedLesion", "Reading", "align", "follow_up"]
