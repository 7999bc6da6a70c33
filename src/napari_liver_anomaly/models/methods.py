"""The methods by name, with their papers. Listing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_liver_anomaly.messages import make_refusal

# Configurations of one's own that go by name; named here so that listing them needs no torch.
CONFIG_NAMES = ("standard", "direct", "direct-varied", "direct-fine", "direct-small", "compact", "paper", "paper-small")
BUDGET = 700  # steps of a method in the comparison when nothing else is said

ZHANG = "Zhang, Deng, Li, SASHIMI 2023"
DRAEM = "Zavrtanik, Kristan, Skočaj, ICCV 2021"
SHAPES = "Random-shape pseudo-outliers, EMBC 2022"
BAUR = "Baur et al., MedIA 2021"


@dataclass(frozen=True, slots=True)
class Method:
    """One line of the list of methods.

    Attributes
    ----------
    key : str
        Its name on the command line and in tables.
    title : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    module : str
        File in ``models/`` that holds it.
    restores : bool
        Whether it gives a healthy image.
    trains : bool
        False for a rule without training.
    """

    key: str
    title: str
    paper: str
    module: str
    restores: bool = False
    trains: bool = True


METHODS: tuple[Method, ...] = (
    Method("two-stage", "Two-stage restorer and segmenter, slices not equalised", ZHANG, "two_stage", restores=True),
    Method("two-stage-equalised", "The same on equalised slices, as in the paper", ZHANG, "two_stage", restores=True),
    Method(
        "two-stage-clamped", "The same, no shifted pixel darker than a liver has", f"{ZHANG}; ours", "two_stage", restores=True
    ),
    Method("two-stage-long", "The first, each stage in full", ZHANG, "two_stage", restores=True),
    Method(
        "two-stage-ours", "Two-stage, 2.5D, residual as a channel, nodules in space", f"{ZHANG}; ours", "two_stage", restores=True
    ),
    Method("direct", "Segmenter alone, 2.5D, nodules in space (the product's)", "Hu et al., CVPR 2023; ours", "two_stage"),
    Method("hu", "Segmenter alone, 2.5D, handcrafted tumours in space", "Hu et al., CVPR 2023", "two_stage"),
    Method("direct-early", "The product's, stopped at three steps in ten", "Hu et al., CVPR 2023; ours", "two_stage"),
    Method("two-stage-ours-long", "Two-stage, ours, each stage in full", f"{ZHANG}; ours", "two_stage", restores=True),
    Method("noise-slice-alone", "Part: stretched noise, one slice, segmenter alone", f"{ZHANG}; ours", "two_stage"),
    Method("noise-slice-restored", "Part: stretched noise, one slice, restorer", f"{ZHANG}; ours", "two_stage", restores=True),
    Method("noise-stack-alone", "Part: stretched noise, five slices, segmenter alone", f"{ZHANG}; ours", "two_stage"),
    Method("noise-stack-restored", "Part: stretched noise, five slices, restorer", f"{ZHANG}; ours", "two_stage", restores=True),
    Method("nodules-slice-alone", "Part: nodules, one slice, segmenter alone", f"{ZHANG}; ours", "two_stage"),
    Method("nodules-slice-restored", "Part: nodules, one slice, restorer", f"{ZHANG}; ours", "two_stage", restores=True),
    Method("draem", "DRAEM: autoencoder, Perlin anomalies, joint training", DRAEM, "draem", restores=True),
    Method("cell-unet", "Ablation: U-Net", ZHANG, "draem", restores=True),
    Method("cell-pa", "Ablation: pseudo anomalies", ZHANG, "draem", restores=True),
    Method("cell-pa-unet", "Ablation: pseudo anomalies, U-Net", ZHANG, "draem", restores=True),
    Method("cell-tp", "Ablation: two phases", ZHANG, "draem", restores=True),
    Method("cell-tp-unet", "Ablation: two phases, U-Net", ZHANG, "draem", restores=True),
    Method("cell-tp-pa", "Ablation: two phases, pseudo anomalies", ZHANG, "draem", restores=True),
    Method("random-shape", "Scorer on random shapes of a paintbrush", SHAPES, "random_shape"),
    Method("random-shape-squares", "The same scorer on squares", SHAPES, "random_shape"),
    Method("random-shape-circles", "The same scorer on circles", SHAPES, "random_shape"),
    Method("random-shape-fpi", "The same scorer on foreign patches interpolated", "Tan et al., MELBA 2022", "random_shape"),
    Method(
        "random-shape-pii", "The same scorer on patches blended by Poisson's equation", "Tan et al., MICCAI 2021", "random_shape"
    ),
    Method("random-shape-cutpaste", "The same scorer on pieces cut and pasted", "Li et al., CVPR 2021", "random_shape"),
    Method("random-shape-nsa", "The same scorer on natural synthetic anomalies", "Schlüter et al., ECCV 2022", "random_shape"),
    Method("asc-net", "Adversarial selective cutting network", "Dey, Hong, MICCAI 2021", "asc_net", restores=True),
    Method("asc-net-unlabelled", "The same on unlabelled patients, slower", "Dey, Hong, MICCAI 2021", "asc_net", restores=True),
    Method(
        "cycle-continuous",
        "Image to tissue maps and back, soft maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Method(
        "cycle-discrete",
        "Image to tissue maps and back, hard maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Method(
        "cycle-continuous-slow", "Soft maps, the paper's step size", "Semantic cycle translation, adapted", "cycle", restores=True
    ),
    Method(
        "cycle-discrete-slow", "Hard maps, the paper's step size", "Semantic cycle translation, adapted", "cycle", restores=True
    ),
    Method("ae-spatial", "Autoencoder, latent image", BAUR, "autoencoders", restores=True),
    Method("ae-dense", "Autoencoder, latent vector", BAUR, "autoencoders", restores=True),
    Method("dae", "Denoising autoencoder", "Kascenas et al., MIDL 2022", "denoising", restores=True),
    Method(
        "layers",
        "Decomposition into a healthy layer and a tumour layer",
        "Zhang et al., layer decomposition",
        "layer_decomposition",
        restores=True,
    ),
    Method(
        "context-ae",
        "Autoencoder that draws what it was not shown",
        f"Pathak et al., CVPR 2016; {BAUR}",
        "context",
        restores=True,
    ),
    Method("vae", "Variational autoencoder", f"Kingma, Welling, ICLR 2014; {BAUR}", "variational", restores=True),
    Method("vae-restoration", "The same, restoration by descent", f"You et al., MIDL 2019; {BAUR}", "variational", restores=True),
    Method("ce-vae", "Context variational autoencoder", f"Zimmerer et al., MIDL 2019; {BAUR}", "context_vae", restores=True),
    Method(
        "ce-vae-gradient",
        "The same, residual times gradient",
        f"Zimmerer et al., MIDL 2019; {BAUR}",
        "context_vae",
        restores=True,
    ),
    Method("gmvae-dense", "Mixture of nine codes, latent vector", f"You et al., MIDL 2019; {BAUR}", "mixture_vae", restores=True),
    Method(
        "gmvae-dense-restoration",
        "The same, restoration by descent",
        f"You et al., MIDL 2019; {BAUR}",
        "mixture_vae",
        restores=True,
    ),
    Method(
        "gmvae-spatial", "Mixture of nine codes, latent image", f"You et al., MIDL 2019; {BAUR}", "mixture_vae", restores=True
    ),
    Method(
        "gmvae-spatial-restoration",
        "The same, restoration by descent",
        f"You et al., MIDL 2019; {BAUR}",
        "mixture_vae",
        restores=True,
    ),
    Method(
        "f-anogan", "Generator of healthy livers, and an encoder", f"Schlegl et al., MedIA 2019; {BAUR}", "anogan", restores=True
    ),
    Method(
        "anovaegan", "Variational autoencoder with a critic", f"Baur et al., BrainLes 2018; {BAUR}", "anovaegan", restores=True
    ),
    Method(
        "constrained-ae", "Autoencoder that keeps its code", f"Chen, Konukoglu, MIDL 2018; {BAUR}", "constrained", restores=True
    ),
    Method(
        "constrained-aae",
        "The same, codes kept normal by a critic",
        f"Chen, Konukoglu, MIDL 2018; {BAUR}",
        "constrained",
        restores=True,
    ),
    Method(
        "vq-vae",
        "Codebook, prior over codes, unlikely codes drawn anew",
        "Marimont, Tarroni, ISBI 2021",
        "vector_quantised",
        restores=True,
    ),
    Method("fpi", "Foreign patches interpolated, with a network of its own", "Tan et al., MELBA 2022", "foreign_patch"),
    Method("pii", "Patches blended by Poisson's equation, the same network", "Tan et al., MICCAI 2021", "foreign_patch"),
    Method("dark-rule", "Baseline: darker than the liver's median", "no learning", "rules", trains=False),
    Method("local-z", "Baseline: darker than its surroundings", "no learning", "rules", trains=False),
)

# What a card calls its kind of model, and the file that holds it.
MODULES = {
    "two-stage": "two_stage", "draem": "draem", "random-shape": "random_shape", "asc-net": "asc_net", "cycle": "cycle",
    "ae": "autoencoders", "dae": "denoising", "layers": "layer_decomposition", "context-ae": "context", "vae": "variational",
    "ce-vae": "context_vae", "gmvae": "mixture_vae", "f-anogan": "anogan", "anovaegan": "anovaegan", "constrained": "constrained",
    "vq-vae": "vector_quantised", "fpi": "foreign_patch",
}  # fmt: skip


def method_of(key: str) -> Method:
    """Find a method by its key."""
    for method in METHODS:
        if method.key == key:
            return method
    raise make_refusal("system-unknown", name=key[:40])
