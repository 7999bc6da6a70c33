"""From Hounsfield units on the scan's grid to the network's slices, and exactly back.

Two geometries: ``field`` resizes the whole field of view to a square, as the paper does; ``liver`` cuts the liver's box and resamples it to a fixed
pixel size, so that a lesion of 10 mm looks the same in every patient. Two intensities: ``paper`` equalises each slice inside the liver, ``robust``
measures Hounsfield units from the liver's median.

References
----------
Zhang, Deng, Li, "Unsupervised liver tumor segmentation with pseudo anomaly synthesis", SASHIMI 2023, section 4.1 (256 × 256 axial slices, liver
mask, histogram equalisation); the paper states no window, its public code uses -200 to 250 HU.
"""

from __future__ import annotations

from napari_liver_anomaly.preprocessing.frame import Frame, PreprocessSettings, frame_of
from napari_liver_anomaly.preprocessing.intensity import equalise, liver_median
from napari_liver_anomaly.preprocessing.slices import HealthySlices, Slices, prepare

__all__ = ["Frame", "HealthySlices", "PreprocessSettings", "Slices", "equalise", "frame_of", "liver_median", "prepare"]
