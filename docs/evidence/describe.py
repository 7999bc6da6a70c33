"""Write the card of a model anew with what was measured since: ``python docs/evidence/describe.py standard --healthy FILE --report JSON --out FILE``.

The weights stay as they are, bit for bit. The report has to be of these weights, or a cross-validation of their configuration; its figures then take
the place of those in the card. Healthy scores are measured on the healthy slices of the scans that the model was trained on.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_liver_anomaly.checkpoint import open_weights, save
from napari_liver_anomaly.evaluation.tables import read_report
from napari_liver_anomaly.models import load, path_of
from napari_liver_anomaly.models.card import Metrics, ModelCard
from napari_liver_anomaly.models.healthy_scores import healthy_scores
from napari_liver_anomaly.training.training_file import read_training_set
from napari_liver_anomaly.training.training_set import slices_of


def main(name: str, healthy: Path, report: Path, out: Path) -> None:
    """Measure, and write the same tensors under a card that says so."""
    model, weights = load(name), open_weights(path_of(name))
    seen = {entry["scan"] for entry in model.card.data["scans"]}
    scans = [scan for scan in read_training_set(healthy) if scan.scan in seen]
    if len(scans) != len(seen):
        raise SystemExit(f"{healthy} holds {len(scans)} of the {len(seen)} scans that {name} was trained on.")
    metrics = Metrics.of_report(read_report(report), [member.config for member in model.scorers])
    if metrics is None or not metrics.of:
        raise SystemExit(f"{report} is not of the configuration of {name}.")
    card = replace(
        ModelCard.from_dict(weights.card, weights.checksum),
        healthy=healthy_scores(model, slices_of(scans, model.preprocess)),
        metrics=metrics,
    )
    save(out, weights.tensors, card.to_dict())
    for share, score in card.healthy_scores().items():
        print(f"{100 * share:g} % of healthy liver scores {score:.3f} or more")
    for point in metrics.operating_points():
        print(
            f"{point.name}: peak score {point.min_peak_score:g}, {point.sensitivity:.3f} of lesions, {point.false_per_scan:.2f} false per scan"
        )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("name")
    for option in ("--healthy", "--report", "--out"):
        asked.add_argument(option, type=Path, required=True)
    main(**vars(asked.parse_args()))
