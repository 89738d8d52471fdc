"""Morphology with a gradient, for a loss: the stain of an image, softly cut into nuclei and measured.

It stands in for `benchmark.metrics.morphology`, which counts regions and so has no gradient. It needs no trained
network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SHARPNESS = 60.0  # of the soft cut, per unit of optical density
DARKEST = 1e-6  # least share of light, as in scikit-image
SCALES = (1, 2, 4)  # sides of the squares over which the nuclear share varies, in pixels
N_SOFT = 4 + len(SCALES)
# Row of haematoxylin in the inverse stain matrix of Ruifrok and Johnston 2001, applied to -log(RGB) / -log(DARKEST).
HAEMATOXYLIN = (1.87798274, -0.06590806, -0.60190736)


def haematoxylin(images: Tensor) -> Tensor:
    """Optical density of haematoxylin of images `[b, 3, p, p]` in [-1, 1] → `[b, p, p]`."""
    light = ((images + 1) / 2).clamp(min=DARKEST)
    density = light.log() / math.log(DARKEST)
    return (density * density.new_tensor(HAEMATOXYLIN)[:, None, None]).sum(dim=1).clamp(min=0)


def soft_morphology(images: Tensor, cut: float) -> Tensor:
    """`[b, 3, p, p]` in [-1, 1] → `[b, 7]`.

    The features are the nuclear share, the length of its border (in sides of the image), the mean and the standard
    deviation of the stain in the nuclei, and the standard deviation of the nuclear share over squares of 1, 2 and 4
    pixels, which tells how clumped the nuclei are.

    Args:
        cut: the stain above which a pixel is nuclear, from `benchmark.metrics.morphology.threshold`.
    """
    density = haematoxylin(images)
    inside = (SHARPNESS * (density - cut)).sigmoid()
    p = images.shape[-1]
    total = inside.sum(dim=(1, 2)).clamp(min=1e-3)
    border = (inside.diff(dim=1).abs().sum(dim=(1, 2)) + inside.diff(dim=2).abs().sum(dim=(1, 2))) / p
    stain = (inside * density).sum(dim=(1, 2)) / total
    spread = ((inside * (density - stain[:, None, None]).square()).sum(dim=(1, 2)) / total + 1e-8).sqrt()
    clumps = [(avg_pool2d(inside[:, None], k).var(dim=(1, 2, 3)) + 1e-8).sqrt() for k in SCALES]
    return torch.stack([inside.mean(dim=(1, 2)), border, stain, spread, *clumps], dim=1)
