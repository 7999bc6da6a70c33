"""Write ``docs/performance.md`` from what ``liver-anomaly bench`` measured: ``python docs/performance_page.py``.

``liver-anomaly bench --rounds 3 --json docs/evidence/performance.json`` measures anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_liver_anomaly.bench import tables_of

DOCS = Path(__file__).parent
MEASURED, PAGE = DOCS / "evidence" / "performance.json", DOCS / "performance.md"
TEXT = """# Performance

```bash
python -m pip install --group bench monai                              # for the other runtimes and networks
liver-anomaly bench --rounds 3 --json docs/evidence/performance.json   # measures anew; then --part gui for the window
python docs/performance_page.py                                        # makes this page
```

All pieces of a table are measured in one run, one after another in each round, so that whatever else the machine does falls on all of them.
Ratios are what can be compared; seconds belong to this machine. The networks of others have random weights: their speed does not depend on
them.

All was measured on one machine with nothing beside it, the window (`--part gui`) an hour before the rest. Its processor does not compute in bfloat16.

{tables}
## What the figures say

- **Scoring.** Our default scores a slice with three segmenters, shows two restorations, and needs a twentieth of the operations of the
  paper's two networks at 256². It is not quite 20 times faster, because the paper's wider layers use the processor better.
- **What is left.** PyTorch's profiler (`docs/profile_scoring.py`) finds 67 % of scoring in convolutions, 10 % in norms, 6 % in SiLU, 4 % in putting
  arrays beside each other and 3 % in padding (on a processor with AVX2). Convolutions are near the floor, so what could still be gained without
  other networks is about 15 %: batch norms folded into the convolutions before them, and activations fused, as the other runtimes do. Folding changes
  the last digits of every score, so it waits for the next change of the weights.
- **The rest.** What is not networks takes {rest:.0%} of a whole CT (30 % is aimed at); writing and unpacking are most of it.
- **A cache of unpacked scans** (Zarr) would not pay: reading takes {read:.0%} of a whole CT, and with preparing it {prepared:.0%}: less than the 15 %
  from which a second copy of every scan would be worth its room. A file is read once, but for the first megabyte of a packed one, with its
  header (`tests/unit/test_counts.py`).
- **Memory.** 400 MB of a run are Python with its libraries.
- **Training** does not wait for its batches: the next two are made in a second thread while a step is under way, and as they follow from the
  number of their step alone, the weights are the same bit for bit (`tests/unit/training/test_ahead.py`).
- **Start.** What only lists or explains loads no PyTorch; `liver-anomaly info` asks it for a graphics card only where there is a driver.
- **The window** was measured alone on the machine, without a graphics card. Threshold, lesion table, panel, first paint and the beat of a run
  are within their aims; a jump to a lesion misses its own by a tenth (medians of two runs: 110 and 119). Between two actions the window rests, so
  that none draws what the one before left. Scrolling and the synthesis preview are not within their aims, nor is the moment in which a result
  comes on screen. Where the time goes (`docs/profile_window.py`, milliseconds on the processor): a scroll takes 80 with the scan alone in our
  window, the liver's outline adds 23, tumours 20, the score 23; a jump takes 31 more than a scroll, because all three planes move. A third of a
  scroll is Qt putting the window together without a graphics card, each outline takes napari 6 for two filters of the slice, letters and words
  in the picture 18, the rest is napari's own drawing: napari alone takes 58 with the scan and no panel. A preview draws
  all bodies of the liver anew, 89, so that it shows the very slice that a whole drawing has. A result on screen waits for napari to add a
  Labels layer, once. The colour that marks a lesion is changed a tenth of a second after the jump, because napari then makes the layer's
  picture anew, so it never delays the view.
- **bfloat16** halves the time where the processor computes in it (on another machine: 38 ms instead of 71, `--part slices`). It is not used for
  scoring, because a result shall be the same on every machine.
- **Other runtimes** (torch.compile, OpenVINO, ONNX Runtime) gain little for one network in single precision; none is worth a dependency.
- **3D networks of others** stand for tools that slide over a whole CT and need no liver: patches of 128³ of nnU-Net's `3d_fullres` plan, half
  a patch apart, and MONAI's sliding window over the U-Net of Hu et al. with their overlap of 0.75, both at 1 mm. One patch is timed and all are
  counted. The networks alone take many times as long as our whole run, from the file to the written results; their time grows with the scan,
  ours with the liver.

Guards in the tests hold what no machine changes: the operations of a slice (`tests/unit/bench`), the bytes read of a scan's file, the copies of
a scan that reading and a run hold at once, and the Python calls of one cut, which are as many for 40 lesions as for two
(`tests/unit/test_counts.py`). The window's own figures are measured by `liver-anomaly bench --part gui`.
"""


def page() -> str:
    """Make the page."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    scan = found["scan"]
    return TEXT.format(
        tables=tables_of(found), rest=1 - scan["share_of_networks"],
        read=scan["read"] / scan["all"], prepared=(scan["read"] + scan["prepare"]) / scan["all"],
    )  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
