"""How long a two-stage model is trained, and on what share of each slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_liver_anomaly.settings import Settings, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(Settings):
    """How long and on what each network is trained."""

    restorer_epochs: int = setting(
        200, unit="epochs", low=0, high=10000, help="Passes over the healthy slices to train the restorer."
    )
    restorer_steps: int = setting(
        0, unit="steps", low=0, high=10**7, help="Above 0: steps of the restorer, instead of epochs.", was="restorer_updates"
    )
    segmenter_epochs: int = setting(
        1, unit="epochs", low=0, high=10000, help="Passes to train the segmenter with the restorer frozen."
    )
    segmenter_steps: int = setting(
        200, unit="steps", low=0, high=10**7, help="The segmenter gets at least this many steps.", was="segmenter_updates"
    )
    batch: int = setting(8, unit="slices", low=1, high=1024, help="Slices in one step.")
    learning_rate: float = setting(1e-4, low=1e-7, high=1, help="Step size of Adam.")
    cosine_decay: bool = setting(False, help="Let the restorer's step size decay to nothing along a cosine.", was="fall")
    segmenter_cosine_decay: bool = setting(False, help="The same for the segmenter.", was="segmenter_fall")
    segmenter_loss: Literal["focal", "overlap"] = setting(
        "focal", help="Loss of the segmenter: focal as in the paper, or cross-entropy with soft Dice."
    )
    anomaly_weight: float = setting(0.0, low=0, high=100, help="Extra weight of anomalous pixels while the restorer is trained.")
    crop_px: int = setting(0, unit="px", low=0, high=1024, help="Side of a random crop around the liver; 0 takes whole slices.")
    augment: bool = setting(False, help="Flip slices and turn them by up to 10°.")
    by_area: bool = setting(
        False, help="Draw slices with a chance that grows with the root of their liver area, instead of each in turn."
    )
    jitter: bool = setting(
        False,
        help="Also vary size, contrast, noise, sharpness and the outline of the liver mask, as between scanners and readers.",
    )

    def restorer_length(self, slices: int) -> int:
        """Count the steps of stage 1.

        Parameters
        ----------
        slices : int
            Healthy slices there are.

        Returns
        -------
        int
            Steps.
        """
        return self.restorer_steps or self.restorer_epochs * -(-slices // self.batch)

    def segmenter_length(self, slices: int) -> int:
        """Count the steps of stage 2: the epochs, and never fewer than the least number of steps.

        Parameters
        ----------
        slices : int
            Healthy slices there are.

        Returns
        -------
        int
            Steps.
        """
        return max(self.segmenter_steps, self.segmenter_epochs * -(-slices // self.batch))
