"""``python -m liver_anomaly_study`` is ``liver-anomaly-study``."""

import sys

from liver_anomaly_study.cli import main

sys.exit(main())
