"""What each verb of the command line does: read, work, write."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Refusal, version
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.liver.schedule import LiverSchedule
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings
from napari_liver_anomaly.settings import Settings, options
from napari_liver_anomaly.storage import replacing, require_not_an_input

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.base import Plan
    from napari_liver_anomaly.models.two_stage import Preset
    from napari_liver_anomaly.volume import Mask, Volume


def settings_from(args: argparse.Namespace, base: Settings) -> Any:
    """Read the flags of a settings class back.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed flags.
    base : Settings
        Values for flags that were not said.

    Returns
    -------
    Settings
        Of the class of ``base``.
    """
    said = {option.name: getattr(args, option.name) for option in options(base)}
    return dataclasses.replace(base, **{name: value for name, value in said.items() if value is not None})  # type: ignore[type-var]


def _segment_settings(args: argparse.Namespace) -> SegmentSettings:
    """How tumours are cut: by the scan's own threshold, until one is said."""
    settings: SegmentSettings = settings_from(args, AUTO_SETTINGS)
    by_hand = args.threshold is not None and args.auto_threshold is None
    return dataclasses.replace(settings, auto_threshold=False) if by_hand else settings


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def _read(args: argparse.Namespace, job: Job) -> tuple[Volume, Mask]:
    """Read the scan and the liver that a verb names, or find the liver; findings go to stderr."""
    from napari_liver_anomaly.io import read, read_mask

    job.at("Reading the scan", 0, 1)
    volume, findings = read(args.scan, settings_from(args, ReadOptions()))
    liver = read_mask(args.liver, volume, "liver mask") if args.liver else _find_liver(args, volume, job=job)
    for finding in (*findings, *liver.findings):
        sys.stderr.write(f"note: {finding}\n")
    return volume, liver


def _find_liver(args: argparse.Namespace, volume: Volume, *, job: Job, device: str = "auto") -> Mask:
    """Find the liver with what ``--find-with`` says."""
    if args.find_with == "totalsegmentator":
        from napari_liver_anomaly.liver.totalsegmentator import find_with_totalsegmentator as find_liver
    else:
        from napari_liver_anomaly.liver import find_liver
    return find_liver(volume, device=device, job=job, unlikely=args.found_liver)[0]


def _inputs(args: argparse.Namespace) -> tuple[Path, ...]:
    """Files that were read, which no result may replace."""
    return (args.scan, args.liver) if args.liver else (args.scan,)


def run_segment(args: argparse.Namespace, job: Job) -> None:
    """Search a scan and write everything that was found."""
    from napari_liver_anomaly.io import read, read_mask, write

    settings = _segment_settings(args)
    job.at("Reading the scan", 0, 1)
    volume, _ = read(args.scan, settings_from(args, ReadOptions()))
    liver = read_mask(args.liver, volume, "liver mask") if args.liver else None
    find = partial(_find_liver, args)
    result = segment(volume, liver, args.model, settings, find=find, device=args.device, job=job)
    for finding in result.findings:
        sys.stderr.write(f"note: {finding}\n")
    job.at("Writing", 0, 1)
    write(result, args.out, inputs=_inputs(args))
    _say(f"{result.summary} {result.ran_on} {result.timings_s['total']:.1f} s.")
    _say(NOT_A_MEDICAL_DEVICE)


def run_synthesise(args: argparse.Namespace, job: Job) -> None:
    """Write a scan with synthetic anomalies, and where they are."""
    from napari_liver_anomaly.io.nifti_writing import image_writer, write_together
    from napari_liver_anomaly.synthesis import RECIPES
    from napari_liver_anomaly.synthesis.apply import synthesise

    if args.recipe not in RECIPES:
        raise Refusal(
            "recipe-unknown", f"There is no recipe {args.recipe!r}.", "Nothing was made.", f"Choose one of {', '.join(RECIPES)}."
        )
    volume, liver = _read(args, job)
    anomalous, mask = synthesise(volume, liver, RECIPES[args.recipe](), args.seed, job)
    images = {"anomalous": anomalous.voxels, "anomalies": mask.voxels}
    write_together(
        {args.out / f"{name}.nii.gz": image_writer(voxels, volume.geometry) for name, voxels in images.items()}, _inputs(args)
    )
    _say(f"Wrote anomalous.nii.gz and anomalies.nii.gz ({mask.ml:.1f} ml of synthetic anomalies).")


def run_liver(args: argparse.Namespace, job: Job) -> None:
    """Find the liver and write its mask."""
    from napari_liver_anomaly.io import read, write_image

    job.at("Reading the scan", 0, 1)
    volume, findings = read(args.scan, settings_from(args, ReadOptions()))
    liver = _find_liver(args, volume, device=args.device, job=job)
    for finding in (*findings, *liver.findings):
        sys.stderr.write(f"note: {finding}\n")
    write_image(liver.voxels.astype("uint8"), volume.geometry, args.out, inputs=(args.scan,))
    _say(f"Wrote {args.out.name}: {liver.ml:,.0f} ml of liver. Check its outline before you rely on it.")
    _say(NOT_A_MEDICAL_DEVICE)


def run_train_liver(args: argparse.Namespace, job: Job) -> None:
    """Train a liver finder and write its weights with a card."""
    from napari_liver_anomaly.evaluation.tables import read_json
    from napari_liver_anomaly.liver.validate import train_liver

    require_not_an_input(args.out, [path for path in (args.data, args.start, args.metrics) if path])
    words = ["liver-anomaly", "train-liver", "--data", "DATA", "--seed", str(args.seed)]
    words += ["--without", *args.without] if args.without else []
    words += ["--start", args.start.name] if args.start else []
    words += [f"{o.flag}={getattr(args, o.name)}" for o in options(LiverSchedule) if getattr(args, o.name) != o.default]
    card = train_liver(
        args.data, args.out, without=args.without, start=args.start, schedule=settings_from(args, LiverSchedule()), seed=args.seed,
        about=args.about_data, command=shlex.join([*words, "--out", args.out.name]),
        metrics=read_json(args.metrics) if args.metrics else None, job=job,
    )  # fmt: skip
    _say(f"Wrote {args.out.name}, trained on {len(card['data']['scans'])} scans.")


def run_cross_validate_liver(args: argparse.Namespace, job: Job) -> None:
    """Train and measure the liver finder, fold by fold."""
    from napari_liver_anomaly.liver.validate import cross_validate_liver

    require_not_an_input(args.out, (args.data,))
    found = cross_validate_liver(
        args.data, args.fold, models=args.models, schedule=settings_from(args, LiverSchedule()), seed=args.seed,
        about=args.about_data, device=args.device, job=job,
    )  # fmt: skip
    _write_json(found, args.out)


def run_prepare(args: argparse.Namespace, job: Job) -> None:
    """Pack folders of cases into one training file."""
    from napari_liver_anomaly.training.training_set import pack_folder, write_healthy

    require_not_an_input(args.out, args.folders)
    scans = [scan for folder in args.folders for scan in pack_folder(folder, keep_names=args.keep_names, job=job)]
    write_healthy(scans, args.out)
    _say(f"Packed {len(scans)} scans with {sum(int(scan.healthy.sum()) for scan in scans)} healthy slices.")


def _preset(args: argparse.Namespace) -> Preset:
    """Give the preset that ``--preset`` names, changed by the flags of the schedule."""
    from napari_liver_anomaly.models.two_stage import PRESETS

    preset = PRESETS[args.preset]
    return dataclasses.replace(preset, schedule=settings_from(args, preset.schedule))


def _planned(args: argparse.Namespace) -> tuple[Preset | Plan, str]:
    """Give the preset or the system that ``--preset`` names, and the key of the system; a name of both is the preset until ``--budget`` is said."""
    from napari_liver_anomaly.models import PRESETS
    from napari_liver_anomaly.models.registry import BUDGET, SYSTEMS, plan_of

    if args.preset in PRESETS and not (args.budget and any(entry.key == args.preset for entry in SYSTEMS)):
        if args.budget:
            raise Refusal(
                "budget-preset", f"The length of {args.preset!r} is set stage by stage.", "Nothing was trained.",
                "Give --restorer-steps and --segmenter-steps instead of --budget.",
            )  # fmt: skip
        return _preset(args), ""
    plan = plan_of(args.preset, args.budget or BUDGET)
    return dataclasses.replace(plan, schedule=settings_from(args, plan.schedule)), args.preset


def _healthy(args: argparse.Namespace, job: Job) -> list[Any]:
    """Read or pack every scan that ``--healthy`` names."""
    from napari_liver_anomaly.training.training_set import pack_folder, read_healthy

    return [scan for path in args.healthy for scan in (pack_folder(path, job=job) if path.is_dir() else read_healthy(path))]


def _command(args: argparse.Namespace) -> str:
    """Say how a model can be trained again, without the names of what it was trained on; the card knows the scans by their hashes."""
    said = [option for option in options(Schedule) if getattr(args, option.name) is not None]
    flags = [f"{option.flag}={getattr(args, option.name)}" for option in said if option.kind is not bool]
    flags += [option.flag if getattr(args, option.name) else f"--no-{option.flag[2:]}" for option in said if option.kind is bool]
    words = [
        "liver-anomaly",
        "train",
        "--healthy",
        *(f"HEALTHY{number}" for number in range(1, len(args.healthy) + 1)),  # names of folders may be those of patients
        "--preset",
        args.preset,
        *(["--budget", str(args.budget)] if args.budget else []),
        "--seed",
        str(args.seed),
    ]
    words += ["--without", *args.without] if args.without else []
    words += ["--restorer", args.restorer.name] if getattr(args, "restorer", None) else []
    return shlex.join([*words, *flags, "--out", args.out.name])


def run_train(args: argparse.Namespace, job: Job) -> None:
    """Train a model and write its weights with a card."""
    from napari_liver_anomaly.evaluation.tables import read_json
    from napari_liver_anomaly.training.fit import fit_and_save

    require_not_an_input(args.out, [path for path in (*args.healthy, args.restorer, args.metrics) if path])
    plan, system = _planned(args)
    scans = _healthy(args, job)
    left_out = set(args.without)
    unknown = left_out - {word for scan in scans for word in (scan.name, scan.scan)}
    if unknown:
        raise Refusal(
            "case-unknown", f"No case is called {', '.join(sorted(unknown))}.", "Nothing was trained.", "Check --without."
        )
    scans = [scan for scan in scans if not left_out & {scan.name, scan.scan}]
    metrics = read_json(args.metrics) if args.metrics else None
    figures = fit_and_save(
        scans,
        plan,
        args.out,
        system=system,
        seed=args.seed,
        restorer=args.restorer,
        device=args.device,
        title=args.title,
        about=args.about_data,
        command=_command(args),
        metrics=metrics,
        job=job,
    )
    _say(f"Wrote {args.out.name}, trained on {figures['slices']} slices; scans: {len(scans)}.")


def run_combine(args: argparse.Namespace, job: Job) -> None:
    """Put several trained models into one file."""
    from napari_liver_anomaly.evaluation.tables import read_report
    from napari_liver_anomaly.models import combine

    require_not_an_input(args.out, [path for path in (*args.models, *args.restore_with, args.metrics) if path])
    job.at("Putting models together", 0, 1)
    metrics = read_report(args.metrics) if args.metrics else None
    combine(
        args.models,
        args.out,
        shown=args.restore_with,
        title=args.title,
        about=args.about_data,
        mirror=args.mirror,
        metrics=metrics,
    )
    _say(f"Wrote {args.out.name} with {len(args.models) + len(args.restore_with)} models.")


def run_models(args: argparse.Namespace, job: Job) -> None:
    """List the models that came with the program, and those of one's own."""
    from napari_liver_anomaly.models import DEFAULT, names, packaged, path_of
    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.models.installing import folder

    own = set(names()) - set(packaged())
    for name in names():
        kind = " (default)" if name == DEFAULT else " (installed)" if name in own else ""
        try:
            card = ModelCard.read(path_of(name))
        except Refusal as refusal:
            _say(f"{name}{kind}: cannot be used. {refusal.finding.what}")
            continue
        size = path_of(name).stat().st_size / 1e6
        _say(f"{name}{kind}: {card.name() or card.key}, {card.parameters:,} parameters, {size:.1f} MB.")
    _say(f"Models of your own: {len(own)}, in {folder()}.")
    _say(NOT_A_MEDICAL_DEVICE)


def run_install(args: argparse.Namespace, job: Job) -> None:
    """Copy a model to where it is found by name, or remove one from there."""
    from napari_liver_anomaly.models.installing import install, remove

    if args.remove:
        remove(args.remove)
        return _say(f"Removed {args.remove}.")
    job.at("Checking the model", 0, 1)
    name = install(args.weights, args.name, replace=args.replace)
    _say(f"Installed {name}: use it with --model {name}, or choose it in the panel.")


def run_evaluate(args: argparse.Namespace, job: Job) -> None:
    """Measure a model on a folder of cases."""
    from napari_liver_anomaly.evaluation.evaluate import evaluate
    from napari_liver_anomaly.liver import find_liver
    from napari_liver_anomaly.models import load

    require_not_an_input(args.out, (args.data, args.model))
    # Whatever is found is measured: a question would count as nothing found.
    find = (lambda volume: find_liver(volume, device=args.device, unlikely="accept")[0]) if args.find_liver else None
    found = evaluate(args.data, load(args.model), _segment_settings(args), find=find, seen=args.seen, device=args.device, job=job)
    _write_json(found, args.out)


def _fold_livers(args: argparse.Namespace) -> Callable[[Volume, str], Mask]:
    """Find livers with the liver model of each case's own fold, which never saw its patient."""
    from napari_liver_anomaly.liver import find_liver

    weights = {
        name: args.livers / f"liver-fold-{number}.safetensors" for number, fold in enumerate(args.fold, start=1) for name in fold
    }
    return lambda volume, name: find_liver(volume, weights=weights[name], device=args.device, unlikely="accept")[0]


def run_cross_validate(args: argparse.Namespace, job: Job) -> None:
    """Train and measure, fold by fold."""
    from napari_liver_anomaly.evaluation.cross_validation import cross_validate

    require_not_an_input(args.out, (*args.healthy, args.data))
    found = cross_validate(
        _healthy(args, job), args.data, args.fold, _preset(args), models=args.models, seed=args.seed, seeds=args.seeds,
        only=args.only, also=args.also, find=_fold_livers(args) if args.livers else None, device=args.device,
        jobs=args.jobs, about=args.about_data, job=job,
    )  # fmt: skip
    if args.only is not None:
        return _say(f"Trained the models of fold {args.only}.")
    _write_json(found, args.out)


def _write_json(found: dict[str, Any], path: Path) -> None:
    with replacing(path) as beside:
        beside.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(f"Wrote {path.name}.")


def run_tables(args: argparse.Namespace, job: Job) -> None:
    """Make tables and curves from stored measurements."""
    from napari_liver_anomaly.evaluation.tables import case_table, draw_curves, method_table, read_report, seeds_line

    job.at("Making tables", 0, 1)
    for path in (args.out, args.curves):
        if path:
            require_not_an_input(path, (args.report,))
    report = read_report(args.report)
    chosen = args.cases or list(report["summary"])[:1]
    if unknown := [name for name in chosen if name not in report["summary"]]:
        raise Refusal(
            "method-unknown", f"{args.report.name} holds no method called {', '.join(unknown)}.", "No table was made.",
            f"Choose of {', '.join(report['summary'])}.",
        )  # fmt: skip
    if args.curves and find_spec("matplotlib") is None:
        raise Refusal(
            "matplotlib-missing", "matplotlib is not installed.", "Curves cannot be drawn; tables can be made without it.",
            "Install napari-liver-anomaly[study], or leave --curves out.",
        )  # fmt: skip
    if args.curves and not any("curve" in case["methods"][chosen[0]] for case in report["cases"]):
        raise Refusal(
            "curves-missing", f"{args.report.name} holds no curves of {chosen[0]}.",
            "They are kept for models and ensembles, not for rules and single seeds.",
            "Name another method first in --cases, or leave --curves out.",
        )  # fmt: skip
    parts = [method_table(report), seeds_line(report), case_table(report, chosen)]
    with replacing(args.out) as beside:
        beside.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    _say(f"Wrote {args.out.name}.")
    if args.curves:
        draw_curves(report, chosen[0], args.curves)
        _say(f"Wrote {args.curves.name}.")


def run_phantom(args: argparse.Namespace, job: Job) -> None:
    """Write the built-in sample."""
    from napari_liver_anomaly.io import write_sample

    job.at("Building the phantom", 0, 1)
    sample = make_phantom(settings_from(args, PhantomSettings(tumours=False)))
    for path in write_sample(sample, args.out, "phantom"):
        _say(f"Wrote {path.name}.")


def run_demo(args: argparse.Namespace, job: Job) -> None:
    """Open napari on the built-in sample."""
    if not _installed("napari"):
        raise Refusal(
            "napari-missing", "napari is not installed.", "The viewer cannot be opened; the command line works without it.",
            "Install napari-liver-anomaly[app].",
        )  # fmt: skip
    from napari_liver_anomaly.gui.demo import demo

    try:
        demo(args.screenshot)
    except ImportError as error:
        raise Refusal(
            "napari-incomplete", "napari or its window toolkit (Qt) is not complete.",
            "The viewer cannot be opened; the command line works without it.", "Install napari-liver-anomaly[app] again.",
        ) from error  # fmt: skip


def _installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def run_info(args: argparse.Namespace, job: Job) -> None:
    """List what there is."""
    import torch

    from napari_liver_anomaly.models import names, path_of
    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.synthesis import RECIPES

    if args.model:
        _say(json.dumps(ModelCard.read(path_of(args.model)).to_dict(), indent=1, ensure_ascii=False))
        return
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    _say(f"napari-liver-anomaly {version()}, torch {torch.__version__}")
    _say(f"graphics card: {cuda}; processor threads: {torch.get_num_threads()}")
    _say(f"models: {', '.join(names()) or 'none'}")
    for name, recipe in RECIPES.items():
        _say(f"recipe {name}: {(recipe.__doc__ or '').splitlines()[0]}")
    _say(NOT_A_MEDICAL_DEVICE)


VERBS: dict[str, Callable[[Any, Any], None]] = {
    "segment": run_segment, "synthesise": run_synthesise, "prepare": run_prepare, "train": run_train, "combine": run_combine,
    "evaluate": run_evaluate, "tables": run_tables, "models": run_models, "install": run_install,
    "liver": run_liver, "train-liver": run_train_liver, "cross-validate-liver": run_cross_validate_liver,
    "cross-validate": run_cross_validate, "phantom": run_phantom, "demo": run_demo, "info": run_info,
}  # fmt: skip
