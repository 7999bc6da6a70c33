"""Rows about weights: made for other settings, carrying a program, or damaged."""

from __future__ import annotations

import io
import json
import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from faults.table import row
from faults.witness import refused
from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.cli import REFUSED, main
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.io import read
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import ModelConfig
from napari_liver_anomaly.models.ensemble import Ensemble
from napari_liver_anomaly.models.networks.restorer import RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
from napari_liver_anomaly.models.two_stage import CONFIGS, TwoStage, TwoStageOptions
from napari_liver_anomaly.training.fit import _restorer_of
from napari_liver_anomaly.training.loop import _OptimisedNetwork, _Unfinished
from napari_liver_anomaly.training.training_file import read_training_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.table import Kit

SMALL = replace(
    CONFIGS["compact"],
    options=TwoStageOptions(restorer=RestorerSettings(width=8), segmenter=SegmenterSettings(width=8, residual_gain=5)),
)  # fmt: skip


def parts_of(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and tensor bytes of a weights file."""
    block = path.read_bytes()
    (length,) = struct.unpack("<Q", block[:8])
    return json.loads(block[8 : 8 + length]), block[8 + length :]


def put(path: Path, header: dict[str, Any] | bytes, data: bytes, length: int | None = None) -> Path:
    """Write a weights file from its parts, true or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def leaves(values: Any, trail: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every plain value in a card's settings, with the way to it."""
    if isinstance(values, (dict, list)):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from leaves(value, (*trail, key))
    else:
        yield trail, values


def other(value: Any) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value * 1.25 + 0.125 if isinstance(value, float) else value + "x"


def edited(path: Path, trail: tuple[Any, ...], value: Any) -> Path:
    """The same file with one value of its card changed, and nothing else."""
    header, data = parts_of(path)
    card = json.loads(header["__metadata__"]["card"])
    place = card
    for key in trail[:-1]:
        place = place[key]
    place[trail[-1]] = value
    header["__metadata__"]["card"] = json.dumps(card)
    return put(path.with_name("edited.safetensors"), header, data)


@row(26)
def weights_of_other_settings_are_refused(kit: Kit) -> None:
    """Weights trained with other spacing, window or network: every field of the card edited in turn, tensors dropped or renamed."""
    path, both = kit.folder / "model.safetensors", kit.folder / "both.safetensors"
    model = TwoStage(SMALL, seed=1)
    model.save(path, ModelCard(data={"scans": []}))
    Ensemble([model, TwoStage(SMALL, seed=2)]).save(both)
    load(path)
    load(both)
    for source, keys in ((path, ("settings", "seed", "key")), (both, ("members", "mirror", "shown", "key"))):
        card = checkpoint.read_card(source)
        assert "seal" not in card
        fields = [(trail, value) for key in keys for trail, value in leaves(card[key], (key,))]
        assert len(fields) > 40, len(fields)
        for trail, value in fields:
            with refused((source.name, trail), kind=UnfitModel) as caught:
                load(edited(source, trail, other(value)))
            if trail[0] not in ("key",):
                assert caught.code == "model-edited", (trail, caught.code)
                assert ".".join(str(key) for key in trail) in caught.finding.what, (trail, caught.finding.what)
        with refused((source.name, "format")):
            load(edited(source, ("format",), 2))

    # Weights without a seal, as from an earlier version: what changes the network is still told by its tensors.
    old = kit.folder / "old.safetensors"
    weights = {name: value.contiguous() for name, value in model.tensors().items()}
    for trail, value in (
        (("restorer", "width"), 16),
        (("segmenter", "width"), 16),
        (("segmenter", "residual_gain"), 0.0),
        (("restorer", "planes"), 3),
    ):
        card = {"format": 1, "key": "two-stage", "settings": SMALL.to_dict(), "seed": 1}
        save_file(weights, old, metadata={"card": json.dumps(card)})
        load(old)
        card["settings"]["options"][trail[0]][trail[1]] = value
        if trail[1] == "residual_gain":
            card["settings"]["options"]["segmenter"]["restoration"] = False
        save_file(weights, old, metadata={"card": json.dumps(card)})
        with refused(("old", trail), "model-tensors", "model-card"):
            load(old)
    for name, change in {"unknown": {"more": 1}, "missing": {}, "range": {"pixel_mm": 99.0}}.items():
        card = {"format": 1, "key": "two-stage", "settings": SMALL.to_dict(), "seed": 1}
        card["settings"]["preprocess"] = card["settings"]["preprocess"] | change if change else {}
        save_file(weights, old, metadata={"card": json.dumps(card)})
        with refused(("old", name), "model-card"):
            load(old)

    tensors = model.tensors()
    names = sorted(tensors)
    for about, changed in {
        "dropped": {name: tensors[name] for name in names[1:]},
        "renamed": {(name + "x" if name == names[0] else name): tensors[name] for name in names},
        "more": tensors | {"more": torch.ones(3)},
        "other shape": tensors | {names[0]: torch.ones(3)},
        "other kind": tensors | {names[0]: tensors[names[0]].to(torch.int32)},
        "doubled kind": tensors | {names[0]: tensors[names[0]].double()},
        "none": {},
    }.items():
        checkpoint.save(old, changed, {"key": "two-stage", "settings": SMALL.to_dict(), "seed": 1})
        with refused(about, "model-tensors", kind=UnfitModel):
            load(old)

    # The same question where weights are taken over: an unfinished training, a restorer that is shared, members that see differently.
    network = torch.nn.Linear(2, 2)
    state = kit.folder / "state.safetensors"
    adam = torch.optim.Adam(network.parameters())
    key = {"stage": 1, "updates": 9, "schedule": {"batch": 2, "crop_px": 32}, "recipe": ["Blobs", {"size": 1.0}], "slices": "ab"}
    one = _OptimisedNetwork("", network, len, 1e-3, adam, {})
    _Unfinished(state, key, [one]).keep(3)
    assert _Unfinished(state, key, [one]).resume() == 3
    for trail, value in leaves(key):
        changed = json.loads(json.dumps(key))
        place = changed
        for step in trail[:-1]:
            place = place[step]
        place[trail[-1]] = other(value)
        with refused(("state", trail), "state-other") as caught:
            _Unfinished(state, changed, [one]).resume()
        assert ".".join(str(step) for step in trail) in caught.finding.what, trail
    with refused("state of another network", "state-other"):
        _Unfinished(state, key, [_OptimisedNetwork("", torch.nn.Linear(3, 2), len, 1e-3, adam, {})]).resume()
    wider = replace(SMALL, preprocess=replace(SMALL.preprocess, pixel_mm=2.0))
    with refused("restorer", "restorer-other") as caught:
        _restorer_of(path, wider, [])
    assert "preprocess.pixel_mm" in caught.finding.what
    with refused("ensemble", "ensemble-mixed"):
        Ensemble([model, TwoStage(wider)]).predict(torch.zeros(1, 1, 32, 32).numpy(), torch.ones(1, 32, 32).bool().numpy())
    assert ModelConfig.from_dict(SMALL.to_dict(), TwoStageOptions) == SMALL


class Payload:
    """Unpickling it makes a file; nothing here ever unpickles it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.canary), "w")


@row(53)
def a_file_that_can_run_programs_is_refused(kit: Kit) -> None:
    """Weights that carry code: a pickle of every protocol, a torch file, under every name; the code is never run."""
    import pickle

    canary = kit.folder / "canary"
    blocks = {f"protocol {n}": pickle.dumps(Payload(canary), protocol=n) for n in range(6)}
    torch_file, older = io.BytesIO(), io.BytesIO()
    torch.save({"a": Payload(canary)}, torch_file)
    torch.save({"a": Payload(canary)}, older, _use_new_zipfile_serialization=False)
    blocks |= {
        "torch": torch_file.getvalue(),
        "older torch": older.getvalue(),
        "a list of them": pickle.dumps([Payload(canary)] * 3),
    }
    pickle.loads(blocks["protocol 2"]).close()  # noqa: S301 - the payload works
    assert canary.exists()
    canary.unlink()
    volume_sentence = "is a file type that can run programs. It is refused, whatever it holds."
    for about, block in blocks.items():
        for ending in (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".safetensors", ".json", ".SAFETENSORS", ".PT", ""):
            path = kit.folder / f"model{ending}"
            path.write_bytes(block)
            for use in (load, checkpoint.read_card, checkpoint.open_weights, TwoStage.load, Ensemble.load):
                with refused((about, ending), "model-program", kind=UnfitModel) as caught:
                    use(path)
                assert volume_sentence in str(caught.refusal)
            assert not canary.exists(), (about, ending)
        assert main(["info", "--model", str(kit.folder / "model.json")]) == REFUSED
        assert volume_sentence in kit.output.readouterr().err
        # Where other files are read: figures, packed livers, scans.
        for name in ("figures.json", "healthy.npz", "scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha", "scan.dcm", "scan.pkl"):
            (kit.folder / name).write_bytes(block)
        words = ["train", "--healthy", str(kit.folder / "healthy.npz"), "--out", str(kit.folder / "out.safetensors")]
        assert main(words) == REFUSED
        assert main(["tables", str(kit.folder / "figures.json"), "--out", str(kit.folder / "t.md")]) == REFUSED
        with refused((about, "healthy")):
            read_training_set(kit.folder / "healthy.npz")
        for name in ("scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha", "scan.dcm", "scan.pkl"):
            with refused((about, name)):
                read(kit.folder / name)
        assert not canary.exists(), about
    import numpy as np

    np.savez(kit.folder / "objects.npz", header=np.array([Payload(canary)], dtype=object), allow_pickle=True)
    with refused("an array of objects", "healthy-unreadable"):
        read_training_set(kit.folder / "objects.npz")
    assert not canary.exists()
    # Sound weights with a name that such files have are refused too; sound weights whose length looks like a pickle are not.
    TwoStage(SMALL).save(kit.folder / "sound.safetensors")
    (kit.folder / "sound.pt").write_bytes((kit.folder / "sound.safetensors").read_bytes())
    with refused("sound.pt", "model-program"):
        load(kit.folder / "sound.pt")
    for length in (640, 896, 1152, 1408):
        path = kit.folder / "like.safetensors"
        card = json.dumps({"format": 1, "key": "x"})
        header = json.dumps(
            {"__metadata__": {"card": card}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        ).encode()
        put(path, header.ljust(length), struct.pack("<f", 1.5))
        assert checkpoint.read_card(path)["key"] == "x" and checkpoint.open_weights(path).tensors["a"].item() == 1.5, length


@row(54)
def damaged_weights_are_refused(kit: Kit) -> None:
    """Malformed safetensors: impossible lengths, overlaps, wrong kinds, trailing bytes, NaN, odd cards, any flipped bit."""
    path, bad = kit.folder / "model.safetensors", kit.folder / "bad.safetensors"
    TwoStage(SMALL, seed=1).save(path, ModelCard(title="é"))
    header, data = parts_of(path)
    names = [name for name in header if name != "__metadata__"]
    first, second = names[0], names[1]
    floating = next(name for name in names if header[name]["dtype"] == "F32")
    wide = next(name for name in names if header[name]["shape"][::-1] != header[name]["shape"])

    def with_(name: str, **changes: Any) -> dict[str, Any]:
        return header | {name: header[name] | changes}

    end = header[first]["data_offsets"][1]
    makers: dict[str, Callable[[], Any]] = {
        f"length {n}": (lambda n=n: put(bad, header, data, n)) for n in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)
    }
    makers |= {
        "length beyond the file": lambda: put(bad, header, data, path.stat().st_size),
        "overlap": lambda: put(
            bad, with_(second, data_offsets=[header[second]["data_offsets"][0] - 4, header[second]["data_offsets"][1] - 4]), data
        ),
        "gap": lambda: put(bad, with_(first, data_offsets=[4, end + 4]), data),
        "negative": lambda: put(bad, with_(first, data_offsets=[-4, end]), data),
        "backwards": lambda: put(bad, with_(first, data_offsets=[end, 0]), data),
        "beyond": lambda: put(bad, with_(first, data_offsets=[0, 2**40]), data),
        "wrong kind": lambda: put(bad, with_(first, dtype="F64"), data),
        "kind of the same size": lambda: put(bad, with_(floating, dtype="I32"), data),
        "unknown kind": lambda: put(bad, with_(first, dtype="X9"), data),
        "wrong shape": lambda: put(bad, with_(first, shape=[1]), data),
        "turned shape": lambda: put(bad, with_(wide, shape=header[wide]["shape"][::-1]), data),
        "huge shape": lambda: put(bad, with_(first, shape=[2**62, 2**62]), data),
        "trailing bytes": lambda: put(bad, header, data + b"1234"),
        "cut by a byte": lambda: put(bad, header, data[:-1]),
        "cut in half": lambda: bad.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "empty": lambda: bad.write_bytes(b""),
        "eight bytes": lambda: bad.write_bytes(bytes(8)),
        "no JSON": lambda: put(bad, b"{" * 200, data),
        "deep JSON": lambda: put(bad, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, data),
        "a list": lambda: put(bad, b"[1, 2]", data),
        "no card": lambda: put(bad, {key: value for key, value in header.items() if key != "__metadata__"}, data),
        "a card that is no text": lambda: put(bad, header | {"__metadata__": {"card": 3}}, data),
        "a card that is no JSON": lambda: put(bad, header | {"__metadata__": {"card": "{"}}, data),
        "a card that is a list": lambda: put(bad, header | {"__metadata__": {"card": "[]"}}, data),
        "a deep card": lambda: put(bad, header | {"__metadata__": {"card": "[" * 100_000}}, data),
        "no tensors": lambda: put(bad, {"__metadata__": header["__metadata__"]}, b""),
        "a folder": lambda: (bad.unlink(missing_ok=True), bad.mkdir()),
        "missing": lambda: bad.rmdir(),
        "a pipe": lambda: os.mkfifo(bad),
    }
    for about, make in makers.items():
        make()
        with refused(about, kind=UnfitModel):
            load(bad)
        with refused(about, kind=UnfitModel):
            checkpoint.open_weights(bad)
    bad.unlink()
    for odd in (float("nan"), float("inf"), -float("inf")):
        tensors = {name: value.clone() for name, value in load_file(path).items()}
        tensors[floating].view(-1)[0] = odd
        save_file(tensors, bad, metadata={"card": json.dumps(checkpoint.read_card(path))})  # no seal, whose checksum would tell
        with refused(odd, "model-damaged", kind=UnfitModel) as caught:
            load(bad)
        assert "holds damaged weights" in caught.finding.what
    whole = path.read_bytes()
    for place in [*range(0, len(whole), 997 * 41), 3, 9, 40, len(whole) - 1, len(whole) - 999]:
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 7)]) + whole[place + 1 :])
        with refused(("flipped", place), kind=UnfitModel):
            load(bad)
    bad.write_bytes(whole)
    load(bad)
    assert main(["info", "--model", str(kit.folder / "none.safetensors")]) == REFUSED
