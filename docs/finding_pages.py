"""Pages of everything the program can refuse, ask or note: ``python docs/finding_pages.py``.

Reads the source of the package and never runs it. Writes a skeleton for every code that has no page, renews in every page the block with the
sentences as they are shown, and makes ``docs/findings/index.md`` again. The text below the block is written by hand and left alone: say what it
means to a radiologist, and what to do. A page whose code is gone is named, and left to be deleted.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
PAGES = DOCS / "findings"
SOURCE = DOCS.parent / "src"
MAKERS = {"refuse": "refuse", "ask": "ask", "note": "note", "Question": "ask"}
LAST = ("“…”", "“…”", "“Nothing needs to be done.”")  # what `note` says when no action is given
NOT_WORDS = "…"
OF_MASKS = "mask-…"  # before a code of a scan, see `index`
TO_WRITE = "*To be written: what it means to a radiologist, and what to do.*"
LEVELS = {
    "refuse": "No result; nothing is written.",
    "ask": "The panel asks with buttons; the command line names the flags and ends with exit code 4.",
    "note": "Shown and stored in the report; the result is there.",
}
START, END = "<!-- made by docs/finding_pages.py -->", "<!-- to here -->"
# By the first word of a code; what is in none stands under the last.
GROUPS = {
    "The file": ("file", "data", "folder", "not", "nifti", "colour", "no", "report", "scan", "sizes", "copies"),
    "Position and voxel size": ("geometry", "orientation", "position", "positions", "spacing", "units", "single", "many", "volume"),
    "Slices of a DICOM series": (
        "dicom", "slices", "slice", "series", "several", "thickness", "picture", "images", "files", "lossy", "codec", "acquisition", "tilt", "gaps",
        "stack",
    ),
    "Values": ("values", "rescale", "voxels", "padding"),
    "Masks, layers and grids": ("mask", "masks", "shape", "layer", "layers", "labels"),
    "The liver": ("liver", "pieces", "totalsegmentator"),
    "Models": ("model", "models", "weights", "ensemble", "recipe", "card", "restorer", "system"),
    "Searching and memory": ("memory", "device", "gpu", "out", "threshold", "score", "scores", "search", "ran", "too"),
    "Writing": ("write", "written", "overwrite", "disk", "would", "ending", "name", "corrected", "page"),
    "Training and measuring": (
        "case", "cases", "healthy", "fold", "folds", "method", "curves", "figure", "matplotlib", "patients", "state", "settings",
        "setting", "loss", "split", "budget", "run",
    ),
    "The viewer": ("demo", "napari", "screen"),
    "Other": (),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One place in the source where a code is given."""

    code: str
    level: str
    sentences: tuple[str, ...]
    where: str


def words_of(node: ast.expr) -> tuple[str, ...]:
    """Ways a sentence can read; what is filled in stands as an ellipsis."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.JoinedStr):
        return ("".join(part.value if isinstance(part, ast.Constant) else NOT_WORDS for part in node.values),)
    if isinstance(node, ast.IfExp):
        return words_of(node.body) + words_of(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return tuple(one + other for one in words_of(node.left) for other in words_of(node.right))
    return (NOT_WORDS,)


def refusals(trees: dict[Path, ast.Module]) -> set[str]:
    """Names of the classes that are refusals, and of functions that take the code and make one."""
    kinds, before = {"Refusal"}, 0
    while before != len(kinds):
        before = len(kinds)
        for tree in trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and {base.id for base in node.bases if isinstance(base, ast.Name)} & kinds:
                    kinds.add(node.name)
    return kinds


def told(source: Path = SOURCE) -> list[Told]:
    """Every code of the package, wherever a finding, a refusal or a question is made."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(source.rglob("*.py"))}
    kinds = refusals(trees)
    found = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""  # widgets have a method called note
            keywords = {word.arg: word.value for word in node.keywords}
            if name == "Finding":
                level = keywords.get("level")
                made = level.attr.lower() if isinstance(level, ast.Attribute) and level.attr in ("REFUSE", "ASK", "NOTE") else ""
                parts = [keywords.get(key) for key in ("code", "what", "meaning", "action")]
            elif name in MAKERS or name in kinds or name == "kind":
                made = MAKERS.get(name, "refuse" if name != "kind" else "")
                parts = [*node.args[:4], *(keywords.get(key) for key in ("code", "what", "meaning", "action")[len(node.args) :])][
                    :4
                ]
            else:
                continue
            code = parts[0] if parts else None
            for word in words_of(code) if made and code is not None else ():
                if word[:1] not in ("", NOT_WORDS) and word != OF_MASKS:
                    shown = tuple(" or ".join(f"“{way}”" for way in words_of(part)) for part in parts[1:] if part is not None)
                    found.append(
                        Told(
                            word,
                            made,
                            shown + LAST[len(shown) - 3 :] if len(shown) < 3 else shown,
                            f"{path.relative_to(source.parent)}:{node.lineno}",
                        )
                    )
    return found


def block(code: str, found: list[Told]) -> str:
    """Make the part of a page that is made from the source."""
    level = found[0].level
    lines = [START, f"# {code}", "", f"**{level}** – {LEVELS[level]}", ""]
    for sentences in dict.fromkeys(one.sentences for one in found):
        lines += [f"> {' '.join(sentences)}", ""]
    return "\n".join([*lines, END])


def group_of(code: str) -> str:
    """Under which heading of the index a code stands."""
    first = code.split("-")[0]
    return next((name for name, words in GROUPS.items() if first in words), "Other")


def index(codes: dict[str, list[Told]]) -> str:
    """Make the table of all codes."""
    lines = [
        "# What the program can say", "",
        "Every doubt has a code, a level and three sentences: what is wrong, what it means, what to do. A **refuse** ends the work with nothing "
        "written. An **ask** waits for a decision: buttons in the panel, flags on the command line. A **note** is shown and stored with the result. "
        "Where a sentence here has an ellipsis, the program fills in a number or a name of its own.", "",
        "A mask file can also be refused with `mask-` before one of the *ask* codes: a question about a mask has no answer but to save it again.",
    ]  # fmt: skip
    for name in GROUPS:
        inside = sorted(code for code in codes if group_of(code) == name)
        if inside:
            lines += ["", f"## {name}", "", "| code | level | what is wrong |", "|---|---|---|"]
            lines += [
                f"| [{code}]({code}.md) | {codes[code][0].level} | {codes[code][0].sentences[0].strip('“”')} |" for code in inside
            ]
    return "\n".join(lines) + "\n"


def by_code(found: list[Told]) -> dict[str, list[Told]]:
    """Places by code."""
    codes: dict[str, list[Told]] = {}
    for one in found:
        codes.setdefault(one.code, []).append(one)
    return codes


def renewed(text: str, made: str) -> str:
    """Make the block of a page again."""
    return made + text[text.index(END) + len(END) :] if END in text else made + "\n\n" + text


def main() -> None:
    """Write and renew pages."""
    codes = by_code(told())
    PAGES.mkdir(exist_ok=True)
    for code, found in codes.items():
        page = PAGES / f"{code}.md"
        old = page.read_text(encoding="utf-8") if page.exists() else f"{END}\n\n{TO_WRITE}\n"
        page.write_text(renewed(old, block(code, found)), encoding="utf-8")
    (PAGES / "index.md").write_text(index(codes), encoding="utf-8")
    empty = [code for code in codes if TO_WRITE in (PAGES / f"{code}.md").read_text(encoding="utf-8")]
    gone = [page.stem for page in PAGES.glob("*.md") if page.stem not in codes and page.stem != "index"]
    sys.stdout.write(f"{len(codes)} codes. To write: {', '.join(empty) or 'none'}. To delete: {', '.join(gone) or 'none'}.\n")


if __name__ == "__main__":
    main()
