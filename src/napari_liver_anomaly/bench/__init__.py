"""How fast the program is on this machine: pieces of work measured in turn in one run, so that their ratios hold whatever else the machine does."""

from napari_liver_anomaly.bench.parts import PARTS, measure
from napari_liver_anomaly.bench.tables import tables_of

__all__ = ["PARTS", "measure", "tables_of"]
