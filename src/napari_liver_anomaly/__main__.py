"""``python -m napari_liver_anomaly`` is ``liver-anomaly``."""

import sys

from napari_liver_anomaly.cli import main

sys.exit(main())
