"""Where the time of scoring goes, by PyTorch's profiler: ``OMP_NUM_THREADS=1 python docs/profile_scoring.py``."""

from __future__ import annotations

import sys

import torch
from torch.profiler import ProfilerActivity, profile

from napari_liver_anomaly.bench.slices import LIVER_PX, _scoring
from napari_liver_anomaly.models import load

ROWS = 15

if __name__ == "__main__":
    torch.set_num_threads(1)
    model = load("standard")
    work = _scoring(getattr(model, "scales", (model,))[0], LIVER_PX)
    work()
    with profile(activities=[ProfilerActivity.CPU]) as taken:
        work()
    sys.stdout.write(taken.key_averages().table(sort_by="self_cpu_time_total", row_limit=ROWS, max_name_column_width=40))
