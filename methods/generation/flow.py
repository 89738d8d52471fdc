"""Version 2: from a control state's image to a target state's image along straight paths; losses and sampler.

The path of a pair is x_t = (1 - t) x_0 + t x_1, its velocity u = x_1 - x_0 (Lipman et al. 2023, ICLR).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]  # images [b, 3, p, p], times [b] → as the images

MARGIN = 0.1  # mean squared error of the velocity by which the right condition must beat a wrong one
PROJECTIONS = 64


def on_path(control: Tensor, target: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The image at time `t` `[b]` and its velocity, `[b, 3, p, p]` each."""
    share = t.view(-1, 1, 1, 1)
    return (1 - share) * control + share * target, target - control


def matching(velocity: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted flow matching: the mean over pairs of `weight` `[b]` times the pair's mean squared error."""
    return (weight * error(velocity, truth)).mean()


def contrast(velocity: Tensor, wrong: Tensor, truth: Tensor) -> Tensor:
    """How far the right condition's velocity is from beating a wrong condition's by the margin; 0 where it does."""
    return (error(velocity, truth) - error(wrong, truth) + MARGIN).relu().mean()


def error(velocity: Tensor, truth: Tensor) -> Tensor:
    """Squared error of each image, mean over its values, `[b]`."""
    return (velocity - truth).square().flatten(1).mean(dim=1)


def endpoint(x: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
    """The end of the path through `x` at time `t` `[b]`, if the velocity stays the same; `[b, 3, p, p]`."""
    return x + (1 - t).view(-1, 1, 1, 1) * velocity


def sliced_wasserstein(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    """Mean distance of the sorted projections of two sets `[n, d]` on `directions` `[d, n_directions]`; 0 if equal."""
    return (_sorted(a @ directions) - _sorted(b @ directions)).abs().mean()


def _sorted(x: Tensor) -> Tensor:
    """Each column in order. By an index: `torch.sort` scatters its gradient, which the FLOP counter refuses."""
    return x[x.argsort(dim=0), torch.arange(x.shape[1], device=x.device)]


def sample(field: Field, control: Tensor, steps: int) -> Tensor:
    """Images at time 1 from `control` images at time 0, `[b, 3, p, p]`, by the midpoint rule: two passes a step."""
    x, h = control, 1 / steps
    for step in range(steps):
        t = torch.full((len(x),), step * h, device=x.device)
        middle = x + h / 2 * field(x, t)
        x = x + h * field(middle, t + h / 2)
    return x
