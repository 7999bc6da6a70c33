"""Weights on disk: a safetensors file whose header holds the model card. Files that could run code are never opened.

The card is sealed: with a checksum over itself and the tensors, and with the settings a second time. A file that was damaged or edited
since it was written is refused, and an edited setting is named. Files from before there were seals are taken as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_liver_anomaly.errors import Refusal, UnreadableFile
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.settings import differing
from napari_liver_anomaly.storage import hash_of, memory_budget, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

FORMAT = 1
SEAL = "seal"
LARGEST_BYTES = 2 * 1024**3
LARGEST_HEADER = 2**20  # ten times what our largest card takes: a header is parsed whole before anything of it can be judged
PROGRAM_ENDINGS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
PROGRAM_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
KINDS = ("float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8", "bool")
GIVEN_TWICE = ("key", "settings", "networks", "members", "mirror", "shown", "seed")


def save(path: str | Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> str:
    """Write weights and card, old or new, never half."""
    from safetensors.torch import save as packed

    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    card = {"format": FORMAT, **card}
    seal = {"settings": {name: card[name] for name in GIVEN_TWICE if name in card}}
    sealed = card | {SEAL: seal | {"checksum": _checksum(card | {SEAL: seal}, flat)}}
    block = packed(flat, metadata={"card": json.dumps(sealed, ensure_ascii=False)})
    with replacing(path) as beside:
        beside.write_bytes(block)
    return hash_of(path)


@dataclass(frozen=True, eq=False)
class Weights:
    """What a weights file holds.

    Attributes
    ----------
    path : Path
        The file.
    card : dict
        Its card, without the seal.
    checksum : str
        Of card and tensors, from the seal; empty in files from before there were seals.
    tensors : dict
        Name to tensor, on the CPU.
    hash : str
        SHA-256 of the file.
    """

    path: Path
    card: dict[str, Any]
    checksum: str
    tensors: dict[str, Tensor]
    hash: str


def open_weights(path: str | Path) -> Weights:
    """Read a weights file: once its bytes, its header, its hash, and its seal."""
    path = Path(path)
    with _opened(path) as stream:
        header, size = _header(path, stream)
        card = _card(path, header)
        if 2 * size > memory_budget():
            raise make_refusal("model-too-large", file=path.name)
        try:
            stream.seek(0)
            block = stream.read()
        except OSError:
            raise _damaged(path) from None
    if block[8 : 8 + len(header)] != header:  # it was written over meanwhile
        raise _damaged(path)
    tensors = _tensors(path, block)
    seal = card.pop(SEAL, None)
    checksum = "" if seal is None else str(seal.pop("checksum", ""))
    if seal is not None and checksum != _checksum(card | {SEAL: seal}, tensors):
        raise _damaged(path)
    return Weights(path, card, checksum, tensors, hashlib.sha256(block).hexdigest())


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a weights file, without its seal and its tensors."""
    return read_sealed(path)[0]


def read_sealed(path: str | Path) -> tuple[dict[str, Any], str]:
    """Read the card of a weights file, and its checksum, without its tensors."""
    path = Path(path)
    with _opened(path) as stream:
        card = _card(path, _header(path, stream)[0])
    return card, str(card.pop(SEAL, {}).get("checksum", ""))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a weights file; one that is not there is no such model."""
    try:
        with opened(path) as stream:
            yield stream
    except UnreadableFile:
        raise make_refusal("model-missing", file=path.name) from None


def _tensors(path: Path, block: bytes) -> dict[str, Tensor]:
    """Read tensors of kinds that are ours, with finite numbers."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors: dict[str, Tensor] = load(block)
    except (
        SafetensorError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ):  # a shape of 2⁶²
        raise _damaged(path) from None
    known = all(str(tensor.dtype).removeprefix("torch.") in KINDS for tensor in tensors.values())
    if not known or not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise _damaged(path)
    return tensors


def _header(path: Path, stream: BinaryIO) -> tuple[bytes, int]:
    """Read the JSON at the start of a weights file, and the size of all. What could carry a program is refused; so is what is too large."""
    start = stream.read(9)
    size = stream.seek(0, os.SEEK_END)
    length = int.from_bytes(start[:8], "little")
    plain = start[8:] == b"{"  # a length may begin with the same bytes as a pickle
    if path.suffix.lower() in PROGRAM_ENDINGS or (not plain and _may_be_program(start)):
        raise make_refusal("model-program", file=path.name)
    if not plain or size > LARGEST_BYTES or not 2 <= length <= min(size - 8, LARGEST_HEADER):
        raise _damaged(path)
    stream.seek(8)
    return stream.read(length), size


def _may_be_program(start: bytes) -> bool:
    """Whether a file begins as a pickle does: those of today by two bytes, the oldest kind by a letter and more text."""
    return start.startswith(PROGRAM_STARTS) or (start[:1] in (b"c", b"(", b"]", b"}", b"I", b"S", b"V") and b"\0" not in start)


def _card(path: Path, header: bytes) -> dict[str, Any]:
    """Read the card with its seal, as it was written."""
    try:
        card = json.loads(json.loads(header)["__metadata__"]["card"])
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise make_refusal("model-format", file=path.name)
    seal = card.get(SEAL, {})
    if not isinstance(seal, dict) or not isinstance(settings := seal.get("settings", {}), dict):
        raise _damaged(path)
    if odd := differing({name: card.get(name) for name in settings}, settings):
        raise make_refusal("model-edited", file=path.name, settings=", ".join(odd[:8]))
    return card


def _checksum(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hash over a card and tensors, by their names, kinds, shapes and bytes."""
    import torch

    digest = hashlib.blake2b(json.dumps(card).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: Path) -> Refusal:
    return make_refusal("model-damaged", file=path.name)
