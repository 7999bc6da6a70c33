"""The figures that stand behind a model: measured on named cases, beside a rule without learning, nothing left out in silence."""

from napari_liver_anomaly.evidence.evaluate import evaluate
from napari_liver_anomaly.evidence.folds import cross_validate

__all__ = ["cross_validate", "evaluate"]
