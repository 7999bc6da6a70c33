"""The same verbs in a terminal: ``liver-anomaly segment``, ``train``, ``evaluate`` and the rest.

Exit codes: 0 done, 1 the program is at fault, 2 wrong usage, 3 an input was refused (one sentence on stderr, nothing written), 4 a question
needs an answer (it and the flags that answer it on stderr, nothing written), 130 stopped by the user.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.verbs import VERBS
from napari_liver_anomaly.device import CHOICES
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Cancelled, Question, Refusal, version
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.job import Job, Progress
from napari_liver_anomaly.liver.schedule import LiverSchedule
from napari_liver_anomaly.models import DEFAULT, PRESETS
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.models.registry import BUDGET, SYSTEMS
from napari_liver_anomaly.phantom import PhantomSettings
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.settings import Settings, options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.models.registry import Entry

DONE, CRASHED, REFUSED, ASKED, STOPPED = 0, 1, 3, 4, 130
HERE = Path(__file__).parents[1]
FINDERS = ("own", "totalsegmentator")
FIND_WITH = "What finds the liver: our own networks, or TotalSegmentator where it is installed with its weights. Default own."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``liver-anomaly``; those of the process when nothing is given.

    Returns
    -------
    int
        Exit code.
    """
    return run_verb(make_parser(), arguments)


def run_verb(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Parse words, run the verb that they name, and turn what it raises into one sentence and an exit code.

    Parameters
    ----------
    parser : ArgumentParser
        Each verb sets ``run``, a function of the parsed flags and a job.
    arguments : sequence of str, optional
        Words after the program's name; those of the process when nothing is given.

    Returns
    -------
    int
        Exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name or a sign that the terminal cannot show must not end the run
            stream.reconfigure(errors="backslashreplace")
    args = parser.parse_args(arguments)
    bar = _Bar()
    try:
        args.run(args, Job(report=bar.show))
    except Refusal as refusal:
        bar.close()
        sys.stderr.write(f"liver-anomaly: {refusal}\n")
        for answer in refusal.finding.answers:
            sys.stderr.write(f"  {answer.flag:24} {answer.words}\n")
        return ASKED if isinstance(refusal, Question) else REFUSED
    except (Cancelled, KeyboardInterrupt):
        bar.close()
        sys.stderr.write("liver-anomaly: stopped; no result was written.\n")
        return STOPPED
    except Exception as error:
        bar.close()
        sys.stderr.write(f"liver-anomaly: {_crash(error)}\n")
        return CRASHED
    bar.close()
    return DONE


def _crash(error: BaseException) -> str:
    """Say where the program is at fault, and nothing that it was working on: an error's own words may quote names and paths."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if HERE in Path(frame.filename).parents]
    return (
        f"The program is at fault ({type(error).__name__} in {' ‹ '.join(reversed(ours[-4:])) or 'the command line'}). "
        "No result was written. Please report this line."
    )


class _Bar:
    """A progress bar for each phase of a job; silent when nobody looks at a terminal."""

    def __init__(self) -> None:
        self.phase = ""
        self.bar: Any = None

    def show(self, progress: Progress) -> None:
        from tqdm import tqdm

        if self.bar is None or self.phase.split(" · ")[0] != progress.phase.split(" · ")[0]:
            self.close()
            self.bar = tqdm(total=progress.total, file=sys.stderr, disable=None, leave=False)
        if self.phase != progress.phase:
            self.phase = progress.phase
            self.bar.set_description(progress.phase, refresh=False)
        self.bar.total = progress.total
        self.bar.update(progress.done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None


def add_options(parser: argparse.ArgumentParser, settings: type[Settings] | Settings, *, overrides: bool = False) -> None:
    """Make one flag for each field of a settings class.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Where to add them.
    settings : type or instance
        The settings class, or an instance whose values are the defaults.
    overrides : bool
        True leaves unsaid flags empty, so that a preset decides.
    """
    for option in options(settings):
        shown = "" if overrides else f" Default {option.default}."
        unit = f" [{option.unit}]" if option.unit else ""
        words: dict[str, Any] = {"help": f"{option.help}{unit}{shown}", "default": None if overrides else option.default}
        flags = [
            option.flag,
            *(["--" + option.was.replace("_", "-")] if option.was else []),
        ]  # a former name works for one version
        if option.kind is bool:
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, **words)
        elif option.choices:
            parser.add_argument(*flags, choices=option.choices, **words)
        else:
            parser.add_argument(*flags, type=option.kind, metavar=option.name.rsplit("_", 1)[-1].upper(), **words)


def make_parser() -> argparse.ArgumentParser:
    """Describe all verbs and flags.

    Returns
    -------
    argparse.ArgumentParser
        Each verb's function is ``args.run``.
    """
    parser = argparse.ArgumentParser(
        prog="liver-anomaly", description=f"Find liver tumours in CT without labelled tumours. {NOT_A_MEDICAL_DEVICE}"
    )
    parser.add_argument("--version", action="version", version=version())
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = _verb(verbs, "segment", "Search a scan for tumours and write what was found.")
    verb.add_argument("scan", type=Path, help="CT: .nii, .nii.gz, .nrrd, .mha, a DICOM folder or one file of it.")
    add_options(verb, ReadOptions)
    _liver_flags(verb)
    verb.add_argument("--out", type=Path, required=True, help="Folder for the results.")
    verb.add_argument("--model", default=DEFAULT, help=f"Name of a model, or a .safetensors file. Default {DEFAULT}.")
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where to compute. Default auto.")
    add_options(verb, AUTO_SETTINGS, overrides=True)

    verb = _verb(verbs, "synthesise", "Put synthetic anomalies on a scan.")
    verb.add_argument("scan", type=Path, help="CT, as for segment.")
    add_options(verb, ReadOptions)
    _liver_flags(verb)
    verb.add_argument(
        "--recipe", default="nodules", help="Family of anomalies; 'liver-anomaly info' lists them. Default nodules."
    )
    verb.add_argument("--seed", type=_seed, default=0, help="Decides every random choice. Default 0.")
    verb.add_argument("--out", type=Path, required=True, help="Folder for the results.")

    verb = _verb(verbs, "liver", "Find the liver in a scan and write its mask.")
    verb.add_argument("scan", type=Path, help="CT, as for segment.")
    add_options(verb, ReadOptions)
    verb.add_argument("--find-with", choices=FINDERS, default="own", help=FIND_WITH)
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where to compute. Default auto.")
    verb.add_argument("--out", type=Path, required=True, help="File to write, ends in .nii.gz.")

    verb = _verb(verbs, "prepare", "Pack healthy livers into one small file to train from.")
    verb.add_argument("folders", type=Path, nargs="+", help="Folders of NAME_ct, NAME_liver and, where known, NAME_tumour files.")
    verb.add_argument("--out", type=Path, required=True, help="File to write, ends in .npz.")
    verb.add_argument(
        "--keep-names", action="store_true", help="Keep the names of the cases (never use it with patients' names)."
    )

    verb = _verb(verbs, "train", "Train a model on healthy livers.")
    _training_flags(verb, SYSTEMS)
    verb.add_argument(
        "--budget", type=_budget, metavar="UPDATES",
        help=f"Updates in all, for a system of 'liver-anomaly-study systems'; not for presets with a length of their own. Default {BUDGET}.",
    )  # fmt: skip
    verb.add_argument(
        "--restorer",
        type=Path,
        metavar="FILE",
        help="Take the restorer of this model, of the same preset and scans; train the segmenter.",
    )
    verb.add_argument("--without", nargs="*", default=[], metavar="NAME", help="Cases to leave out, by name or identity.")
    verb.add_argument("--metrics", type=Path, help="JSON of an evaluation, whose summary is kept in the model's card.")
    verb.add_argument("--out", type=Path, required=True, help="File to write, ends in .safetensors.")

    verb = _verb(verbs, "train-liver", "Train a liver finder on scans with liver masks.")
    _liver_training_flags(verb)
    verb.add_argument("--without", nargs="*", default=[], metavar="NAME", help="Cases to leave out, by name.")
    verb.add_argument("--start", type=Path, help="Weights of a liver finder to go on from, instead of from nothing.")
    verb.add_argument("--metrics", type=Path, help="JSON of a cross-validation, whose summary is kept in the card.")
    verb.add_argument("--out", type=Path, required=True, help="File to write, ends in .safetensors.")

    verb = _verb(verbs, "cross-validate-liver", "Train the liver finder on some patients, measure on the others, in turn.")
    _liver_training_flags(verb)
    verb.add_argument(
        "--fold", nargs="+", action="append", required=True, metavar="NAME", help="Cases measured together; repeat for each fold."
    )
    verb.add_argument("--models", type=Path, required=True, help="Folder for the finder of each fold; what is there is kept.")
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where the liver is searched. Default auto.")
    verb.add_argument("--out", type=Path, required=True, help="JSON file to write.")

    verb = _verb(verbs, "combine", "Put several trained models into one file: an ensemble.")
    verb.add_argument("models", type=Path, nargs="+", help="Files made by 'train' with one preset, other seeds or other scans.")
    verb.add_argument("--title", default="", metavar="TEXT", help="One line for lists of models, kept in the model's card.")
    verb.add_argument(
        "--about-data", default="", metavar="TEXT", help="Origin and licence of the scans, kept in the model's card."
    )
    verb.add_argument(
        "--restore-with",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="Models that only restore, for the eye; they do not score.",
    )
    verb.add_argument("--mirror", action="store_true", help="Score every slice mirrored, too: a little better, twice as slow.")
    verb.add_argument("--metrics", type=Path, help="JSON of an evaluation, whose summary is kept in the model's card.")
    verb.add_argument("--out", type=Path, required=True, help="File to write, ends in .safetensors.")

    verb = _verb(verbs, "evaluate", "Measure a model on scans with tumour masks, beside a rule without learning.")
    verb.add_argument("--data", type=Path, required=True, help="Folder of NAME_ct, NAME_liver and NAME_tumour files.")
    verb.add_argument("--model", default=DEFAULT, help=f"Name of a model, or a .safetensors file. Default {DEFAULT}.")
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where to compute. Default auto.")
    verb.add_argument("--find-liver", action="store_true", help="Measure in the liver that the program finds, too.")
    verb.add_argument(
        "--seen",
        choices=("ask", "mark"),
        default="ask",
        help="Whether scans of the model's own training are measured. Default ask.",
    )
    verb.add_argument("--out", type=Path, required=True, help="JSON file to write.")
    add_options(verb, AUTO_SETTINGS, overrides=True)

    verb = _verb(verbs, "cross-validate", "Train on some patients, measure on the others, in turn.")
    _training_flags(verb)
    verb.add_argument("--data", type=Path, required=True, help="Folder with the same cases and their tumour masks.")
    verb.add_argument(
        "--fold", nargs="+", action="append", required=True, metavar="NAME", help="Cases measured together; repeat for each fold."
    )
    verb.add_argument("--models", type=Path, required=True, help="Folder for the models of each fold.")
    verb.add_argument(
        "--seeds", type=int, default=1, help="Models for each fold; more than one are measured together, too. Default 1."
    )
    verb.add_argument(
        "--livers",
        type=Path,
        metavar="DIR",
        help="Liver models of the same folds (cross-validate-liver): measure in the found liver, too.",
    )
    verb.add_argument(
        "--also", type=Path, metavar="DIR", help="Models of another preset for the same folds, measured alone and fused."
    )
    verb.add_argument("--jobs", type=int, default=1, help="Cases measured at once. Default 1.")
    verb.add_argument("--only", type=int, metavar="NUMBER", help="Train the models of this fold and measure nothing.")
    verb.add_argument("--out", type=Path, required=True, help="JSON file to write.")

    verb = _verb(verbs, "tables", "Make tables and curves from a stored evaluation.")
    verb.add_argument("report", type=Path, help="JSON made by 'evaluate' or 'cross-validate'.")
    verb.add_argument(
        "--cases", nargs="*", metavar="METHOD", help="Methods compared scan by scan; curves are those of the first."
    )
    verb.add_argument(
        "--curves", type=Path, help="Picture of FROC, size and calibration curves (.svg or .png); needs matplotlib."
    )
    verb.add_argument("--out", type=Path, required=True, help="Markdown file to write.")

    verb = _verb(verbs, "phantom", "Write the built-in sample scan with its masks.")
    verb.add_argument("--out", type=Path, required=True, help="Folder to write to.")
    add_options(verb, PhantomSettings(tumours=False))

    verb = _verb(verbs, "demo", "Open napari on the built-in sample and search it.")
    verb.add_argument("--screenshot", type=Path, help="Write a picture and close, instead of staying open.")

    _verb(verbs, "models", "List the models that came with the program, and those of your own that are installed.")

    verb = _verb(verbs, "install", "Check a model of your own and copy it to where it is found by name.")
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("weights", type=Path, nargs="?", metavar="MODEL", help="A .safetensors file made by 'train' or 'combine'.")
    which.add_argument("--remove", metavar="NAME", help="Delete the installed model of this name instead.")
    verb.add_argument("--as", dest="name", default="", metavar="NAME", help="What it shall be called. Default the file's name.")
    verb.add_argument("--replace", action="store_true", help="Take the place of an installed model of that name.")

    verb = _verb(verbs, "info", "List models, recipes, versions and devices.")
    verb.add_argument("--model", help="Show the whole card of one model.")

    return parser


def _verb(verbs: Any, name: str, words: str, verb: str = "") -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=f"{words} {NOT_A_MEDICAL_DEVICE}")
    made.set_defaults(run=VERBS[verb or name])
    return made


def _training_flags(verb: argparse.ArgumentParser, systems: Sequence[Entry] = ()) -> None:
    """Add the flags that train and cross-validate share; the first takes the systems of the list, too."""
    verb.add_argument("--healthy", type=Path, nargs="+", required=True, help="Files made by 'prepare', or folders of cases.")
    keys = [entry.key for entry in systems if entry.learns and entry.key not in PRESETS]
    known = "; or a system of 'liver-anomaly-study systems'" if keys else ""
    verb.add_argument(
        "--preset", choices=(*PRESETS, *keys), default="standard", metavar="NAME",
        help=f"What the model is: {', '.join(PRESETS)}{known}. Default standard.",
    )  # fmt: skip
    verb.add_argument("--seed", type=_seed, default=0, help="Decides every random choice. Default 0.")
    verb.add_argument("--device", choices=CHOICES, default="auto", help="Where to compute. Default auto.")
    verb.add_argument("--title", default="", metavar="TEXT", help="One line for lists of models, kept in the model's card.")
    verb.add_argument(
        "--about-data", default="", metavar="TEXT", help="Origin and licence of the scans, kept in the model's card."
    )
    add_options(verb, Schedule, overrides=True)


def _liver_flags(verb: argparse.ArgumentParser) -> None:
    """Add the flags that say where the liver comes from."""
    verb.add_argument("--liver", type=Path, help="Liver mask on the scan's grid; without it the liver is found.")
    verb.add_argument("--find-with", choices=FINDERS, default="own", help=FIND_WITH)


def _liver_training_flags(verb: argparse.ArgumentParser) -> None:
    """Add the flags that train-liver and cross-validate-liver share."""
    verb.add_argument("--data", type=Path, required=True, help="Folder of NAME_ct and NAME_liver files.")
    verb.add_argument("--seed", type=_seed, default=0, help="Decides every random choice. Default 0.")
    verb.add_argument("--about-data", default="", metavar="TEXT", help="Origin and licence of the scans, kept in the card.")
    add_options(verb, LiverSchedule)


def _budget(word: str) -> int:
    """Read a number of updates: enough for a system of two stages."""
    budget = int(word)
    if budget < 4:
        raise argparse.ArgumentTypeError("a budget is 4 or more")
    return budget


def _seed(word: str) -> int:
    """Read a seed: a whole number, 0 or more."""
    seed = int(word)
    if seed < 0:
        raise argparse.ArgumentTypeError("a seed is 0 or more")
    return seed
