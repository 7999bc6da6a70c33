"""Break the program in one place after another, and see whether a test notices: ``python -m tests.mutants``, from the root of the repository.

Each line below replaces one piece of code by a wrong one in a copy of the source, and runs the tests that are to notice, without the slow ones.
A mutant that lives is named, and the script ends with 1. With words, only the mutants are made whose files hold one of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
# File, tests that are to notice, what is wrong then; what stands there once, and what stands there instead.
MUTANTS = (
    ("napari_liver_anomaly/models/restoration.py", "unit/models/test_variational.py unit/models/test_mixture_vae.py",
     "restoration goes uphill", "changed - rate * gradient", "changed + rate * gradient"),
    ("napari_liver_anomaly/models/restoration.py", "unit/models/test_variational.py unit/models/test_mixture_vae.py",
     "the weight that changes most", "changes.index(min(changes))", "changes.index(max(changes))"),
    ("napari_liver_anomaly/models/restoration.py", "unit/models/test_variational.py unit/models/test_mixture_vae.py",
     "the image is smoothed, not the change", "total_variation(changed - start)", "total_variation(changed)"),
    ("napari_liver_anomaly/models/variational.py", "unit/models/test_variational.py",
     "restoration without the prior", "self.restorer.decode(mean), image) + code_divergence(mean, log_spread)", "self.restorer.decode(mean), image)"),
    ("napari_liver_anomaly/models/variational.py", "unit/models/test_variational.py",
     "the spread is not its exponent", "mean + log_spread.exp() *", "mean + log_spread *"),
    ("napari_liver_anomaly/models/mixture_vae.py", "unit/models/test_mixture_vae.py",
     "clusters gain below their floor", "from_even.clamp(min=LEAST_CLUSTERS)", "from_even"),
    ("napari_liver_anomaly/models/mixture_vae.py", "unit/models/test_mixture_vae.py",
     "every centre counts in full", "(cluster[:, :, None] * divergence(wide, centres))", "divergence(wide, centres)"),
    ("napari_liver_anomaly/models/context_vae.py", "unit/models/test_variational.py unit/models/test_planted_ball.py",
     "the masked branch draws its mask", "self.reconstruct(hidden), batch.healthy)", "self.reconstruct(hidden), hidden)"),
    ("napari_liver_anomaly/models/context_vae.py", "unit/models/test_variational.py unit/models/test_planted_ball.py",
     "the gradient is left out", " * self.loss_gradient(image).abs()", ""),
    ("napari_liver_anomaly/models/constrained.py", "unit/models/test_adversarial.py unit/models/test_autoencoders.py",
     "the code is held against itself", "self.restorer.encode(drawn), code)", "self.restorer.encode(batch.healthy), code)"),
    ("napari_liver_anomaly/models/constrained.py", "unit/models/test_adversarial.py unit/models/test_autoencoders.py",
     "codes flee the critic's praise", 'loss - self.parts["critic"](code)', 'loss + self.parts["critic"](code)'),
    ("napari_liver_anomaly/models/wasserstein.py", "unit/models/test_adversarial.py",
     "the critic's slope is pulled to 0", "(length - 1).square()", "length.square()"),
    ("napari_liver_anomaly/models/anogan.py", "unit/models/test_adversarial.py",
     "the encoder is not held by the critic's features", " + self.config.options.feature_weight * apart", ""),
    ("napari_liver_anomaly/models/vector_quantised.py", "unit/models/test_vector_quantised.py",
     "likely codes are drawn anew", "-now.log() > self", "-now.log() < self"),
    ("napari_liver_anomaly/models/vector_quantised.py", "unit/models/test_vector_quantised.py",
     "the farthest restoration weighs most", "SHARPNESS / mean", "SHARPNESS * mean"),
    ("napari_liver_anomaly/models/residual.py", "unit/models/test_autoencoders.py unit/models/test_variational.py",
     "dark lesions have no residual", "(image - restored).abs() * liver_mask", "(image - restored).clamp(min=0) * liver_mask"),
    ("napari_liver_anomaly/models/residual.py", "unit/models/test_autoencoders.py unit/models/test_variational.py",
     "half of healthy liver is suspect", "HEALTHY_QUANTILE = 0.99", "HEALTHY_QUANTILE = 0.5"),
    ("napari_liver_anomaly/models/cycle.py", "unit/models/test_cycle.py",
     "the generator wants to be disbelieved", "functional.softplus(-self.parts", "functional.softplus(self.parts"),
    ("napari_liver_anomaly/models/asc_net.py", "unit/models/test_asc_net.py",
     "the reconstruction is not inverted", "((1 - whole) * liver_mask)", "(whole * liver_mask)"),
    ("napari_liver_anomaly/models/layer_decomposition.py", "unit/models/test_layer_decomposition.py",
     "the tumour layer learns healthy tissue", "(tumour, appears))", "(tumour, batch.healthy[:, 0]))"),
    ("napari_liver_anomaly/models/ensemble.py", "unit/models/test_ensemble.py",
     "the mirrored score is not turned back", "Prediction(one.score[..., ::-1],", "Prediction(one.score,"),
    ("napari_liver_anomaly/models/losses.py", "unit/models/test_losses.py unit/models/test_variational.py",
     "divergence with a wrong sign", "- 2 * log_spread - 1)", "+ 2 * log_spread - 1)"),
    ("napari_liver_anomaly/models/losses.py", "unit/models/test_losses.py",
     "focal loss weighs down what is wrong", "(1 - log_right.exp()) ** gamma", "log_right.exp() ** gamma"),
    ("napari_liver_anomaly/models/losses.py", "unit/models/test_losses.py",
     "the restorer learns the anomaly's mask", "(restored - healthy).abs() * weight", "(restored - anomalous.unsqueeze(1)).abs() * weight"),
    ("napari_liver_anomaly/synthesis/fpi.py", "unit/synthesis",
     "the target is the other share", "(1 - alpha) * image + alpha * other", "alpha * image + (1 - alpha) * other"),
    ("napari_liver_anomaly/synthesis/nsa.py", "unit/synthesis",
     "the least change is most anomalous", "(hu - self.half_hu)", "(self.half_hu - hu)"),
    ("napari_liver_anomaly/synthesis/poisson.py", "unit/synthesis",
     "the weaker gradient wins", "np.abs(others * theirs) > np.abs(own * mine)", "np.abs(others * theirs) < np.abs(own * mine)"),
    ("napari_liver_anomaly/thresholds.py", "unit/test_thresholds.py",
     "precision instead of Dice", "np.maximum(predicted + hits[0], 1e-9)", "np.maximum(predicted, 1e-9)"),
    ("liver_anomaly_study/record.py", "study/test_comparison.py",
     "healthy cases count in the case mean", 'case["tumour_ml"] > 0', 'case["tumour_ml"] >= 0'),
    ("liver_anomaly_study/record.py", "study/test_paper_tables.py",
     "other lengths come into a record", 'if seed["seed"] not in known and _comparable(seed, new[0])', 'if seed["seed"] not in known'),
    ("liver_anomaly_study/runs.py", "study/test_comparison.py",
     "strict trains on patients with tumour", "and not (run.dataset == STRICT and one.truth.any())", ""),
    ("liver_anomaly_study/lesion_insertion.py", "study/test_comparison.py",
     "the ball is bright", "change_hu: float = -DARKER_HU", "change_hu: float = DARKER_HU"),
    ("liver_anomaly_study/pairs.py", "study/test_page.py study/test_paper_tables.py",
     "two scans count as two patients", "PATIENT_OF.get(case, case)", "case"),
    ("liver_anomaly_study/cases.py", "study/test_comparison.py",
     "slices of the first scan for all", "tuple(int(z) + len(images) for z in seen)", "tuple(int(z) for z in seen)"),
    ("liver_anomaly_study/long_segmenter.py", "study/test_long_training.py",
     "the frozen restorer is an untrained one", '    model.parts["restorer"].load_state_dict(known.parts["restorer"].state_dict())\n', ""),
    ("liver_anomaly_study/scoring.py", "study/test_comparison.py",
     "change of tumours counts as of healthy liver", "healthy = case.liver_mask & ~case.truth", "healthy = case.liver_mask"),
)  # fmt: skip


def survives(file, tests, there, instead, copy):
    """Tell whether the tests pass with one piece replaced, and put it back."""
    path = copy / "src" / file
    source = path.read_text(encoding="utf-8")
    if source.count(there) != 1:
        sys.exit(f"{file} holds {there!r} {source.count(there)} times: name the piece anew")
    path.write_text(source.replace(there, instead), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-cov", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow"]
    command += [f"tests/{one}" for one in tests.split()]
    paths = os.pathsep.join([str(copy / "src"), str(copy / "tests")])
    done = subprocess.run(command, cwd=copy, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    path.write_text(source, encoding="utf-8")
    if done.returncode not in (0, 1):
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    lines = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return done.returncode == 0, lines[0].removeprefix("FAILED tests/") if lines else ""


def main(words):
    """Write a row for each mutant."""
    chosen = [one for one in MUTANTS if not words or any(word in one[0] for word in words)]
    lived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("src", "tests", "docs"):
            shutil.copytree(HERE / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "napari.yaml"):
            shutil.copy(HERE / file, copy)
        print("| file | what is wrong | noticed by |\n| --- | --- | --- |")
        for file, tests, wrong, there, instead in chosen:
            lives, test = survives(file, tests, there, instead, copy)
            lived += lives
            print(f"| {file} | {wrong} | {'LIVES' if lives else test} |", flush=True)
    print(f"\n{len(chosen)} mutants, {len(chosen) - lived} noticed, {lived} live")
    return int(lived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
