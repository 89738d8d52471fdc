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
    """Sums over what the views of samples are asked, for each predictor and component. They are kept on the CPU: those
    of the training slides are made there, and the model may be elsewhere.

    Attributes:
        n: batches of the model so far.
    """

    def __init__(self) -> None:
        self.n = 0
        self._target: Tensor | float = 0.0  # squares, [p]
        self._error: Tensor | float = 0.0  # squares of the model's errors, [p]
        self._own: dict[str, Tensor] = {}  # squares of each predictor's values, and their products with the target

    def add(self, model: ContextModel, batch: dict[str, Tensor], draws: Iterable[Tensor]) -> None:
        """What the model reaches on the samples of a batch, with the views that were drawn."""
        self.n += 1
        for scores, hidden, target, has in model.asked(batch, *draws):
            self._target = self._target + (target.square() * has).sum(dim=(0, 1)).cpu()
            error = model.head(model.encode(scores, hidden, batch)) - target
            self._error = self._error + (error.square() * has).sum(dim=(0, 1)).cpu()

    def add_untaught(self, model: ContextModel, batch: dict[str, Tensor], draws: Iterable[Tensor]) -> None:
        """What the untaught predictors say of the same."""
        for scores, hidden, target, has in model.asked(batch, *draws):
            for name, values in untaught(scores, batch["position"], batch["valid"] & ~hidden):
                sums = torch.stack([(values.square() * has).sum(dim=(0, 1)), (values * target * has).sum(dim=(0, 1))])
                self._own[name] = self._own.get(name, 0) + sums.cpu()

    def r2(self) -> float:
        """R² of the model, where predicting 0, the mean of every gene, has 0."""
        return (1 - self._error.sum() / self._target.sum()).item()

    def r2_untaught(self, training: Explained) -> dict[str, float]:
        """R² of each kind of untaught predictor, as `r2`.

        For each component it is multiplied by the factor that suits the training slides best; of kriging also the
        kernel is taken that does.

        Args:
            training: of samples of the training slides.
        """
        gain: dict[str, list[Tensor]] = {}  # in the training slides, and here
        for name, (square, product) in training._own.items():
            factor = product / square.clamp(min=1e-12)
            here_square, here_product = self._own[name]
            gain.setdefault(name.partition(" ")[0], []).append(
                torch.stack([factor * product, 2 * factor * here_product - factor.square() * here_square])
            )
        found = {}
        for kind, of_kind in gain.items():
            there, here = torch.stack(of_kind, dim=1)
            taken = there.argmax(dim=0, keepdim=True)
            found[kind] = (here.gather(0, taken).sum() / self._target.sum()).item()
        return found


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
