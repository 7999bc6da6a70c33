"""Write the scoring members of an ensemble as models of their own: ``python docs/evidence/take_apart.py standard OUT``.

They are numbered in the order of the card as ``fold-1.safetensors`` and so on. For ``standard`` that is: trained without fold 1, without fold 2,
on all scans. ``cross-validate --also OUT`` and ``combine`` take them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.card import card_of


def main(name, out):
    """Write one file for each member."""
    whole = load(name)
    card = whole.card
    out.mkdir(parents=True, exist_ok=True)
    for place, member in enumerate(whole.scorers):
        seen = (card.data.get("members_trained_on") or card.data["members_learned_from"])[place]
        scans = [entry for entry in card.data["scans"] if {entry["name"], entry["scan"]} & set(seen)]
        data = {key: card.data[key] for key in ("chosen", "about")} | {"scans": scans}
        own = {key: getattr(card, key)[place] for key in ("training", "validation", "command")}
        member.save(out / f"fold-{place + 1}.safetensors", card_of(member, data, **own))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
