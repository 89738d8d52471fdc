"""How well the objective is met, beside what predictors reach that have learned nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from methods.context.model import around, square_distance

if TYPE_CHECKING:
    from methods.context.model import ContextModel

LENGTHS = (1.0, 2.0, 4.0)  # of the kernels of kriging, in pitches
NOISES = (0.5, 2.0, 8.0)  # variance of what a spot does not share with its neighbours, over that of what it shares
BLIND = 1e6  # noise of a spot that is not seen: it has no weight


class Explained:
    """Sums over what the views of samples are asked, for each predictor and component."""

    def __init__(self) -> None:
        self._target: Tensor | float = 0.0  # squares, [p]
        self._error: Tensor | float = 0.0  # squares of the model's errors, [p]
        self._own: dict[str, Tensor] = {}  # squares of each predictor's values, and their products with the target

    def add(self, model: ContextModel, batch: dict[str, Tensor], draws: Iterable[Tensor], beside: bool = True) -> None:
        """The samples of a batch, with the views that were drawn.

        Args:
            beside: whether the untaught predictors are asked too; they take longer than the model.
        """
        for scores, hidden, target, has in model.asked(batch, *draws):
            self._target = self._target + (target.square() * has).sum(dim=(0, 1))
            error = model.head(model.encode(scores, hidden, batch)) - target
            self._error = self._error + (error.square() * has).sum(dim=(0, 1))
            if not beside:
                continue
            seen = batch["valid"] & ~hidden
            for name, values in untaught(scores, batch["position"], seen):
                sums = torch.stack([(values.square() * has).sum(dim=(0, 1)), (values * target * has).sum(dim=(0, 1))])
                self._own[name] = self._own.get(name, 0) + sums

    def r2(self) -> dict[str, float]:
        """R² by predictor, where predicting 0, the mean of every gene, has 0.

        An untaught predictor is multiplied, component by component, by the factor that suits this slide best; kriging
        also takes the kernel that does. So each of them is at least as good as one that was fitted on other slides.
        """
        total = self._target.sum()
        found = {"r2": 1 - self._error.sum() / total}
        best: dict[str, Tensor] = {}
        for name, (square, product) in self._own.items():
            gain = product.square() / square.clamp(min=1e-12)
            kind = name.partition(" ")[0]
            best[kind] = torch.maximum(best.get(kind, torch.zeros_like(gain)), gain)
        found |= {f"r2_{kind}": gain.sum() / total for kind, gain in best.items()}
        return {name: value.item() for name, value in found.items()}


def untaught(scores: Tensor, position: Tensor, seen: Tensor) -> Iterable[tuple[str, Tensor]]:
    """Predictions `[b, t, p]` from the spots that a view shows: the spot itself, the mean around it, and kriging.

    Kriging is that of a Gaussian field with a squared exponential kernel and independent noise: K (K + noise)⁻¹ times
    the scores (Rasmussen and Williams 2006, equation 2.25).

    Args:
        scores: of the view, `[b, t, p]`.
        seen: bool `[b, t]`.
    """
    yield "own", scores * seen[..., None]
    yield "neighbour_mean", around(scores, position, seen)[0]
    apart = square_distance(position)
    for length in LENGTHS:
        kernel = torch.exp(-apart / (2 * length**2))
        for noise in NOISES:
            noisy = kernel + torch.diag_embed(torch.where(seen, noise, BLIND))
            yield f"kriging {length} {noise}", kernel @ torch.linalg.solve(noisy, scores * seen[..., None])
