"""Figures as the papers print them, beside which ours are set: never measured here, and never in one column with what is.

Percentages are written as fractions. A figure that a paper took over from another one is marked ``copied``; what a paper does not print is a dash.

References
----------
``P1`` R. Dey, Y. Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021, and its extension on arXiv.
``P2`` Zhang, Deng, Li, "Unsupervised liver tumor segmentation with pseudo anomaly synthesis", SASHIMI 2023.
``P3`` Self-supervised anomaly detection with random-shape pseudo-outliers, EMBC 2022.
``P4`` Anomaly segmentation by image-semantic cycle translation.
"""

from __future__ import annotations

from dataclasses import dataclass

NOT_PRINTED = "–"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a published table, or one of ours that belongs beside it."""

    label: str
    key: str = ""  # which of our methods it is; empty where we have none
    paper: tuple[str, ...] = ()  # cells under the columns of the paper; empty where the paper has no such row
    post_processed: bool = False  # whether the prediction was opened and closed


BASELINES = (
    Line("baseline: darker than the liver's median", "dark-rule"),
    Line("baseline: darker than its surroundings", "local-z"),
)

P2_TABLE_1_HEAD = ("paper (LiTS, Dice)",)
P2_TABLE_1 = (
    Line("Zhang et al., layer decomposition, with tumour labels", "", ("0.6191 (copied)",)),
    Line("DRAEM", "draem", ("0.1475",)),
    Line("Zhang et al., layer decomposition", "layers", ("0.4078 (copied)",)),
    Line("ASC-Net", "asc-net", ("0.3224 (copied)",)),
    Line("ASC-Net + post-processing", "asc-net", ("0.5023 (copied)",), post_processed=True),
    Line("ASC-Net on unlabelled patients", "asc-net-unlabelled"),
    Line("Hu et al.", "hu", ("0.5977 (copied)",)),
    Line("the paper's own: two-stage, equalised", "two-stage-equalised", ("0.5303",)),
    Line("two-stage, equalised, shift clamped", "two-stage-clamped"),
    Line("two-stage, not equalised", "two-stage"),
    Line("two-stage, not equalised, each stage in full", "two-stage-long"),
    Line("two-stage, with our additions", "two-stage-ours"),
    Line("segmenter alone, nodules in space", "direct"),
    Line("denoising autoencoder", "dae"),
    Line("autoencoder, latent image", "ae-spatial"),
    Line("autoencoder, latent vector", "ae-dense"),
    *BASELINES,
)

# Two phases, pseudo anomalies, U-Net; the paper ran five of the eight cells. Its stars are left out: see the page.
P2_TABLE_2_HEAD = ("paper (LiTS, pooled Dice, mean ± SD of 3 runs)",)
P2_TABLE_2 = (
    Line("none: DRAEM", "draem", ("0.1475 ± 0.1428",)),
    Line("U-Net", "cell-unet"),
    Line("PA", "cell-pa"),
    Line("PA, U-Net", "cell-pa-unet", ("0.4006 ± 0.0685",)),
    Line("TP", "cell-tp", ("0.2131 ± 0.1254",)),
    Line("TP, U-Net", "cell-tp-unet"),
    Line("TP, PA", "cell-tp-pa", ("0.3017 ± 0.0550",)),
    Line("TP, PA, U-Net: two-stage, not equalised", "two-stage", ("0.5303 ± 0.0178",)),
)
# For each switch the cells with it; the others are those without.
SWITCHES = {
    "two phases (TP)": ("cell-tp", "cell-tp-unet", "cell-tp-pa", "two-stage"),
    "pseudo anomalies (PA)": ("cell-pa", "cell-pa-unet", "cell-tp-pa", "two-stage"),
    "skips (U-Net)": ("cell-unet", "cell-pa-unet", "cell-tp-unet", "two-stage"),
}

# Sample AUROC / sample AP / pixel AUROC / pixel AP.
P3_TABLES_HEAD = tuple(f"paper ({data}; sample AUROC / AP, pixel AUROC / AP)" for data in ("BRATS", "MOOD brain", "MOOD abdomen"))
P3_TABLES = (
    Line("VQ-VAE", "vq-vae", ("0.66 / 0.82, 0.75 / 0.22", "0.97 / 0.92, 0.99 / 0.81", "0.83 / 0.73, 0.98 / 0.57")),
    Line("ceVAE", "ce-vae", ("0.62 / 0.77, 0.69 / 0.16",)),
    Line("foreign patches (FPI)", "fpi", ("0.70 / 0.84, 0.71 / 0.32",)),
    Line(
        "the paper's own: random shapes",
        "random-shape",
        ("0.79 / 0.86, 0.97 / 0.56", "0.97 / 0.95, 0.99 / 0.91", "0.93 / 0.87, 0.94 / 0.66"),
    ),
    Line("squares of equal area", "random-shape-squares"),
    Line("circles of equal area", "random-shape-circles"),
    Line("foreign patches, the paper's U-Net", "random-shape-fpi"),
    Line("patches by Poisson's equation (PII)", "pii"),
    Line("patches by Poisson's equation, the paper's U-Net", "random-shape-pii"),
    Line("pieces cut and pasted (CutPaste)", "random-shape-cutpaste"),
    Line("natural synthetic anomalies (NSA)", "random-shape-nsa"),
    *BASELINES,
)

P1_TABLE_1_HEAD = ("paper (MS-SEG, Dice, without post-processing)", "paper (MS-SEG, Dice, with)")
P1_TABLE_1 = (
    Line("AE, dense", "ae-dense", ("0.045", "0.150 ± 0.075")),
    Line("AE, spatial", "ae-spatial"),
    Line("Context AE", "context-ae", ("0.051", "0.188 ± 0.116")),
    Line("VAE", "vae", ("0.051", "0.200 ± 0.124")),
    Line("Context VAE, original", "ce-vae", ("0.060", "0.267 ± 0.112")),
    Line("Context VAE, gradient", "ce-vae-gradient", ("0.059", "0.127 ± 0.088")),
    Line("GMVAE, dense", "gmvae-dense", ("0.063", "0.174 ± 0.121")),
    Line("GMVAE, dense, restoration", "gmvae-dense-restoration", ("0.063", "0.223 ± 0.124")),
    Line("GMVAE, spatial", "gmvae-spatial", ("0.028", "0.069 ± 0.073")),
    Line("GMVAE, spatial, restoration", "gmvae-spatial-restoration", ("0.027", "0.118 ± 0.110")),
    Line("f-AnoGAN", "f-anogan", ("0.089", "0.278 ± 0.140")),
    Line("Constrained AE", "constrained-ae", ("0.097", "0.209 ± 0.100")),
    Line("Constrained AAE", "constrained-aae", ("0.068", "0.190 ± 0.170")),
    Line("VAE, restoration", "vae-restoration", ("0.058", "0.211 ± 0.122")),
    Line("AnoVAEGAN", "anovaegan", ("0.066", "0.200 ± 0.133")),
    Line("the paper's own: ASC-Net", "asc-net", ("0.3294 ± 0.3598", "0.4820 ± 0.4784")),
    *BASELINES,
)

# Data, then Dice without and with post-processing. † An SD that no set of numbers between 0 and 1 with this mean can have.
P1_TABLE_2_HEAD = ("paper (ASC-Net, Dice, without post-processing)", "paper (ASC-Net, Dice, with)")
P1_TABLE_2 = (
    Line("MS-SEG", "", ("0.3294 ± 0.3598", "0.4820 ± 0.4784")),
    Line("BraTS 2019", "", ("0.6367 ± 0.1624", "0.6801 ± 0.1463")),
    Line("LiTS", "", ("0.3224 ± 0.2074", "0.5023 ± 0.3222")),
    Line("private FLAIR, cross-validation", "", ("0.7989 ± 0.4932 †",)),
    Line("private T2, cross-validation", "", ("0.8857 ± 0.4628 †", "0.9158 ± 0.4681 †")),
    Line("private T2, in full", "", ("0.8579 ± 0.4763 †", "0.9021 ± 0.4637 †")),
)

P4_TABLE_1_HEAD = ("paper (BraTS, AUPRC)", "paper (BraTS, [DICE], oracle)")
P4_TABLE_1 = (
    Line("discrete: hard maps", "cycle-discrete", ("0.371", "0.482")),
    Line("continuous: soft maps", "cycle-continuous", ("0.511", "0.544")),
    Line("discrete, the paper's step size", "cycle-discrete-slow"),
    Line("continuous, the paper's step size", "cycle-continuous-slow"),
)

# Our patients stand beside the paper's first set of data, the phantom beside its second.
P4_TABLE_2_HEAD = {
    "patients": P4_TABLE_1_HEAD,
    "phantom": ("paper (ISLES, trained on BraTS, AUPRC)", "paper (ISLES, [DICE], oracle)"),
}
P4_TABLE_2 = {
    dataset: (
        Line("AE, dense", "ae-dense", ae),
        Line("AE, spatial", "ae-spatial"),
        Line("VAE", "vae", vae),
        Line("GMVAE, dense", "gmvae-dense", gmvae),
        Line("GMVAE, spatial", "gmvae-spatial"),
        Line("f-AnoGAN", "f-anogan", gan),
        Line("the paper's own: cycle translation, continuous", "cycle-continuous", cycle),
        *BASELINES,
    )
    for dataset, ae, vae, gmvae, gan, cycle in (
        ("patients", ("0.229", "0.378"), ("0.331", "0.440"), ("0.253", "0.408"), ("0.373", "0.453"), ("0.511", "0.544")),
        ("phantom", ("0.043", "0.112"), ("0.050", "0.117"), ("0.057", "0.116"), ("0.076", "0.164"), ("0.110", "0.178")),
    )
}
