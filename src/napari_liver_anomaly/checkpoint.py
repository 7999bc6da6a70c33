"""Weights on disk: a safetensors file whose header holds a card. Nothing that could run a program is ever opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.storage import hash_of, replacing

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
LARGEST_BYTES = 2 * 1024**3
PROGRAM_ENDINGS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
PROGRAM_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def save(path: str | Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> str:
    """Write weights and card, old or new, never half.

    Parameters
    ----------
    path : path-like
        Ends in ``.safetensors``.
    tensors : dict
        Name to tensor, any device.
    card : dict
        What the weights are; must turn into JSON.

    Returns
    -------
    str
        SHA-256 of the file.
    """
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as beside:
        save_file(flat, beside, metadata={"card": json.dumps({"format": FORMAT, **card}, ensure_ascii=False)})
    return hash_of(path)


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a weights file without its tensors.

    Parameters
    ----------
    path : path-like
        A ``.safetensors`` file.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe, damaged or has no card of ours.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _refuse_programs(path)
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {})["card"])
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise UnfitModel(
            "model-format", f"{path.name} was written for another version of this program.",
            "Its settings cannot be trusted to mean the same.", "Use the version that wrote it, or train again.",
        )  # fmt: skip
    return card


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file.

    Parameters
    ----------
    path : path-like
        A ``.safetensors`` file.

    Returns
    -------
    dict
        Name to tensor, on the CPU.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe or damaged, or holds numbers that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    _refuse_programs(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path) from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise _damaged(path)
    return tensors


def _refuse_programs(path: Path) -> None:
    """Refuse what could carry a program, by name and by first bytes; and what is too large to be weights."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(4)
        size = path.stat().st_size
    except OSError as error:
        raise UnfitModel(
            "model-missing", f"No weights were found at {path.name}.", "There is no such model.",
            "Give the name of a model ('liver-anomaly info' lists them) or a .safetensors file.",
        ) from error  # fmt: skip
    if path.suffix.lower() in PROGRAM_ENDINGS or start.startswith(PROGRAM_STARTS):
        raise UnfitModel(
            "model-program", f"{path.name} is a file type that can run programs.", "It is refused, whatever it holds.",
            "Use weights in .safetensors format.",
        )  # fmt: skip
    if size > LARGEST_BYTES:
        raise _damaged(path)


def _damaged(path: Path) -> UnfitModel:
    return UnfitModel(
        "model-damaged", f"{path.name} holds damaged weights, or none of ours.", "A model made from it would give wrong results.",
        "Fetch or train it again.",
    )  # fmt: skip
