"""Noise with the power spectrum of CT: weak at the coarsest and finest scales, correlated between neighbouring slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

    from napari_liver_anomaly.phantom.space import Field

CUTOFF_PER_MM = 0.24
BETWEEN_SLICES_MM = 1.6


def ct_noise(shape: tuple[int, int, int], steps_mm: tuple[float, float, float], rng: Generator) -> Field:
    """Draw CT-like noise of standard deviation 1.

    In the slice its spectrum is a ramp with a smooth end, as filtered back-projection with a soft kernel leaves it; the ramp does
    not start at nought, because iterative and overlapping reconstruction keep some coarse grain.

    From S. J. Riederer, N. J. Pelc, D. A. Chesler, "The noise power spectrum in computed X-ray tomography", Phys. Med. Biol. 23
    (1978) 446-454.
    """
    fy = np.fft.fftfreq(shape[1], steps_mm[1])[:, None]
    fx = np.fft.rfftfreq(shape[2], steps_mm[2])[None]
    frequency = np.hypot(fy, fx)
    shaped = (np.sqrt(0.02 + frequency) * np.exp(-((frequency / CUTOFF_PER_MM) ** 2))).astype(np.float32)
    share = float(np.exp(-((steps_mm[0] / BETWEEN_SLICES_MM) ** 2) / 2))
    noise = np.empty(shape, np.float32)
    before = rng.standard_normal(shape[1:], np.float32)
    for z in range(shape[0]):
        fresh = rng.standard_normal(shape[1:], np.float32)
        before = np.float32(share) * before + np.float32(np.sqrt(1 - share**2)) * fresh
        noise[z] = np.fft.irfft2(np.fft.rfft2(before) * shaped, shape[1:])
    noise /= noise.std()
    return noise
