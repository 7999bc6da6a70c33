"""Write the members of an ensemble as models of their own: ``python docs/evidence/take_apart.py standard OUT``.

Those that score are numbered in the order of the card as ``fold-1.safetensors`` and so on. For ``standard`` that is: trained without fold 1, without
fold 2, on all scans. ``cross-validate --also OUT`` and ``combine`` take them. Those that restore come with the scoring member of the same number, as
``restored-1.safetensors`` and so on, whose restorations ``evaluate`` measures on the scans of that fold.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.card import card_of
from napari_liver_anomaly.models.ensemble import Ensemble


def main(name, out):
    """Write one file for each member."""
    whole = load(name)
    out.mkdir(parents=True, exist_ok=True)
    scoring = len(whole.scorers)
    for place, member in enumerate(whole.scorers):
        member.save(
            out / f"fold-{place + 1}.safetensors", card_of(member, data_of(whole.card, place), **said_of(whole.card, place))
        )
    for place, member in enumerate(whole.members[scoring:]):
        both, places = Ensemble([whole.scorers[place], member], mirror=False, shown=1), (place, scoring + place)
        said = {key: [said_of(whole.card, n)[key] for n in places] for key in ("training", "validation", "command")}
        both.save(out / f"restored-{place + 1}.safetensors", card_of(both, data_of(whole.card, *places), **said))


def data_of(card, *places):
    """Say what some members were trained on."""
    by_member = card.data.get("members_trained_on") or card.data["members_learned_from"]
    seen = {name for place in places for name in by_member[place]}
    scans = [entry for entry in card.data["scans"] if {entry["name"], entry["scan"]} & seen]
    return {key: card.data[key] for key in ("chosen", "about")} | {"scans": scans}


def said_of(card, place):
    """Say how a member was trained."""
    return {key: getattr(card, key)[place] for key in ("training", "validation", "command")}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
