"""What the study refuses: its own messages beside those of the product."""

from __future__ import annotations

from napari_liver_anomaly.messages import Catalogue

CATALOGUE = Catalogue("liver_anomaly_study", "napari_liver_anomaly")
make_refusal = CATALOGUE.make_refusal
