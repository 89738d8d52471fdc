"""Version 1: from noise to an image under a spot's expression; a variance-preserving diffusion, sampled by DDIM.

An image x at time t is cos(φ) x + sin(φ) ε with φ = t π / 2. The decoder gives v = cos(φ) ε - sin(φ) x (Salimans and
Ho 2022, ICLR). Image and noise both follow from v.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]  # images [b, 3, p, p], times [b] → as the images


def noised(x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The image at time `t` `[b]`, and the v to be learned at that time; all `[b, 3, p, p]`."""
    phi = (t * math.pi / 2).view(-1, 1, 1, 1)
    return phi.cos() * x + phi.sin() * noise, phi.cos() * noise - phi.sin() * x


def sample(field: Field, noise: Tensor, steps: int) -> Tensor:
    """Deterministic DDIM from time 1 to 0 in steps of equal angles (Song et al. 2021, ICLR).

    Images are clipped to [-1, 1] at every step.
    """
    x = noise
    for step in range(steps):
        now, then = (math.pi / 2 * (1 - k / steps) for k in (step, step + 1))
        v = field(x, torch.full((len(x),), 1 - step / steps, device=x.device))
        image = (math.cos(now) * x - math.sin(now) * v).clamp(-1, 1)
        noise = (x - math.cos(now) * image) / math.sin(now)
        x = math.cos(then) * image + math.sin(then) * noise
    return x
