"""What a figure is drawn from: the models of one world, and the livers that they never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from liver_anomaly_study.comparison import Run, score_liver, threshold_of
from liver_anomaly_study.record import RECORD
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.evaluation.tables import read_json
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.registry import BUDGET

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Liver
    from liver_anomaly_study.comparison import Place

SEEDS = 10  # at most, of a figure that compares seeds
DATA = {"phantom": "", "patients": " --data DATA --fold NAME … --fold NAME …"}


@dataclass(eq=False)
class Subject:
    """Models and livers of one world.

    Attributes
    ----------
    place : Place
        Folder that ``liver-anomaly-study run`` filled.
    world : str
        ``patients`` or ``phantom``.
    budget : int
        Updates of the trainings that are shown.
    record : Path
        Folder with the figures on record.
    fold : int
        Whose models.
    """

    place: Place
    world: str
    budget: int = BUDGET
    record: Path = RECORD
    fold: int = 1
    _prepared: dict[Any, list[Liver]] = field(default_factory=dict)
    _systems: dict[Run, Any] = field(default_factory=dict)
    _scores: dict[tuple[Run, str], Any] = field(default_factory=dict)

    def run(self, key: str, seed: int = 0) -> Run:
        """Name the run of a system.

        Parameters
        ----------
        key : str
            The system.
        seed : int
            Which of its trainings.

        Returns
        -------
        Run
            Its model may not be there.
        """
        return Run(self.world, key, self.fold, seed, self.budget)

    def system(self, key: str, seed: int = 0) -> Any:
        """Load a system.

        Parameters
        ----------
        key : str
            Which.
        seed : int
            Which of its trainings.

        Returns
        -------
        System
            On the CPU.

        Raises
        ------
        Refusal
            When it is not there; says which command makes it.
        """
        run = self.run(key, seed)
        path = self.place.model(run)
        if not path.exists():
            raise self.lacking(key, seed + 1)
        if run not in self._systems:
            self._systems[run] = load(path)
        return self._systems[run]

    def threshold(self, key: str, seed: int = 0) -> float:
        """Give the threshold of the comparison, which was set without labels.

        Parameters
        ----------
        key : str
            The system.
        seed : int
            Which of its trainings.

        Returns
        -------
        float
            Smallest score called lesion, above 0 to 1.
        """
        return threshold_of(self.system(key, seed).card["synthetic"])

    def lacking(self, key: str, seeds: int = 1) -> Refusal:
        """Say which command trains what is not there.

        Parameters
        ----------
        key : str
            The system.
        seeds : int
            How many trainings of it are needed.

        Returns
        -------
        Refusal
            To be raised.
        """
        more = (f" --seeds {seeds}" if seeds > 1 else "") + (f" --budget {self.budget}" if self.budget != BUDGET else "")
        return Refusal(
            "figure-left-out", f"The model {self.run(key, seeds - 1).name} is not in the folder.", "The figure was left out.",
            f"Run 'liver-anomaly-study run --out OUT --world {self.world} --only {key}{more}{DATA[self.world]}' first.",
        )  # fmt: skip

    def seeds(self, key: str) -> list[int]:
        """List the trainings of a system that are there.

        Parameters
        ----------
        key : str
            Which.

        Returns
        -------
        list of int
            Seeds.
        """
        return [seed for seed in range(SEEDS) if self.place.model(self.run(key, seed)).exists()]

    def unseen(self, system: Any) -> list[Liver]:
        """Give the livers that a system did not learn from.

        Parameters
        ----------
        system : System
            As given by :meth:`system`.

        Returns
        -------
        list of Liver
            With a known truth, prepared as the system sees them.
        """
        learned = set(system.card["data"]["learned_from"])
        return [one for one in self._livers(system) if one.labelled and one.name not in learned]

    def learned(self, system: Any) -> list[Liver]:
        """Give the livers that a system learned from.

        Parameters
        ----------
        system : System
            As given by :meth:`system`.

        Returns
        -------
        list of Liver
            Prepared as the system sees them.
        """
        names = set(system.card["data"]["learned_from"])
        return [one for one in self._livers(system) if one.name in names]

    def _livers(self, system: Any) -> list[Liver]:
        if system.prepare not in self._prepared:
            self._prepared[system.prepare] = self.place.livers(self.world, system.prepare)
        return self._prepared[system.prepare]

    def scored(self, key: str, liver: Liver, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Score a liver, or take what was scored before.

        Parameters
        ----------
        key : str
            The system.
        liver : Liver
            One that it did not see.
        seed : int
            Which of its trainings.

        Returns
        -------
        tuple of ndarray
            Scores (n, H, W), and healthy images or None.
        """
        key_ = (self.run(key, seed), liver.name)
        if key_ not in self._scores:
            self._scores[key_] = score_liver(self.system(key, seed), liver)
        found: tuple[NDArray[np.float32], NDArray[np.float32] | None] = self._scores[key_]
        return found

    def on_record(self, name: str, verb: str) -> dict[str, Any]:
        """Read figures that a special run left in the record.

        Parameters
        ----------
        name : str
            Of the file, after that of the world.
        verb : str
            The command that makes it.

        Returns
        -------
        dict
            Plain data.

        Raises
        ------
        Refusal
            When it is not there; says which command makes it.
        """
        path = self.record / f"{self.world}-{name}.json"
        if not path.exists():
            raise Refusal(
                "figure-left-out", f"{path.name} is not on record.", "The figure was left out.",
                f"Run 'liver-anomaly-study {verb} --out OUT --world {self.world}' first.",
            )  # fmt: skip
        return read_json(path)
