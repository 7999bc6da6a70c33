"""Many scans, one after another or on several processes: each is read, segmented and kept as a session."""

from napari_liver_anomaly.many_scans.cohort import segment_cohort
from napari_liver_anomaly.many_scans.picture import PICTURE_PX
from napari_liver_anomaly.many_scans.study import State, Study, segment_all, segment_study, studies_in
from napari_liver_anomaly.many_scans.summary import write_summary

__all__ = ["PICTURE_PX", "State", "Study", "segment_all", "segment_cohort", "segment_study", "studies_in", "write_summary"]
