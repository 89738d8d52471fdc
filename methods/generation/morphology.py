"""Morphology that a loss can see: the stain of an image, softly cut into nuclei, measured by differentiable formulas.

It stands for `benchmark.metrics.morphology`, which counts regions and so has no gradient. No network has to be trained
first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SHARPNESS = 60.0  # of the soft cut, per optical density
DARKEST = 1e-6  # as scikit-image has it
SCALES = (1, 2, 4)  # pixels over which the nuclear share varies
N_SOFT = 4 + len(SCALES)
# Haematoxylin's row of the inverse stain matrix of Ruifrok and Johnston 2001, applied to -log(RGB) / -log(DARKEST).
HAEMATOXYLIN = (1.87798274, -0.06590806, -0.60190736)


def haematoxylin(images: Tensor) -> Tensor:
    """Optical density of haematoxylin of images `[b, 3, p, p]` in [-1, 1] → `[b, p, p]`."""
    light = ((images + 1) / 2).clamp(min=DARKEST)
    density = light.log() / math.log(DARKEST)
    return (density * density.new_tensor(HAEMATOXYLIN)[:, None, None]).sum(dim=1).clamp(min=0)


def soft_morphology(images: Tensor, cut: float) -> Tensor:
    """`[b, 3, p, p]` in [-1, 1] → `[b, 7]`: nuclear share, length of its border (in sides of the image), stain in the
    nuclei and its deviation, and the deviation of the nuclear share over squares of 1, 2 and 4 pixels: how clumped.

    Args:
        cut: the stain above which a pixel is nuclear, as `benchmark.metrics.morphology.threshold` gave it.
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
