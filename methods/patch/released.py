"""The method `patch_released`: the patch unit with every quirk of its released code, to compare `patch` with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import PositiveInt

from benchmark.training.learner import INFERENCE_TOKENS, Learner
from benchmark.training.loop import WARM_UP, tensors
from benchmark.units.batch import Batch
from benchmark.units.crops import cover
from benchmark.units.expression import Field, stretched
from benchmark.units.expression import field as make_field
from benchmark.units.patch import STRETCHED, PatchUnit
from benchmark.units.rules import PerCrop, VarianceDraw, variances
from methods.patch.released_model import Released

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

HVG = 2000
LEAST_SPOTS = 10  # spots that a crop must hold
INFERENCE_SIDE = 100  # the last cell of an axis in the inference scripts; in pretraining it is `STRETCHED`


class FirstOfVariable(PerCrop):
    """The first `m` genes, in the file's order, among the 2,000 genes that vary most in a tile."""

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        """Genes of each crop, int64 `[n, m]`; `member` `[n, n_spots]`: the spots of each crop."""
        variance = torch.from_numpy(variances(field, member))
        variable = variance.topk(min(max(HVG, m), variance.shape[1]), dim=1).indices
        return variable.sort(dim=1).values[:, :m].numpy()


@dataclass(frozen=True)
class ReleasedUnit(PatchUnit):
    """Crops as released: stretched axes, and a fixed number of crops for each slide, drawn once.

    Inference differs from pretraining. Its grid has another size and is transposed. The last spot of a cell keeps the
    cell. A spot is read in its tile, and another rule chooses the genes.
    """

    sparse_slides_dropped = True

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """All cells of a crop: empty ones are tokens too."""
        self._candidates(corpus)  # prepares the corpus, before the clock runs
        return float(self.size**2)

    def lay(self, field: Field) -> Field:
        """The slide on the grid of the inference scripts."""
        laid = stretched(field, INFERENCE_SIDE, last_wins=True)
        return replace(laid, lattice=laid.lattice[:, ::-1], position=laid.position[:, ::-1])

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """The tiles of a slide, in batches of about `tokens` tokens."""
        return cover(field, "tiles", self.size, FirstOfVariable(), self.n_channels, tokens)


class PatchReleased(Learner):
    """The patch unit as it was released.

    Args:
        size: cells along a side of a crop; a slide has 140 along each axis.
        n_channels: genes in a crop.
        preset: size of the model.
    """

    def __init__(self, size: PositiveInt = 16, n_channels: PositiveInt = 512, preset: str = "tiny"):
        unit = ReleasedUnit(
            size,
            n_channels,
            min_occupancy=LEAST_SPOTS / size**2,
            rule=VarianceDraw(),
            lattice="released",
            crops_per_slide=int(2 * (STRETCHED + 1) ** 2 / size**2),
        )
        super().__init__(
            unit, preset, partial(Released, size=size, n_channels=n_channels), warm_up_then_constant, panels=False
        )

    @torch.inference_mode()
    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 in the `hidden` spots `[n_spots]`, from the others; `[n_spots, n_genes]`.

        The head predicts slots. A gene that has no slot in a spot's tile is predicted as 0.
        """
        field = self.sampler.lay(make_field(slide, hidden=hidden))
        predicted = np.zeros(slide.shape, np.float32)
        for part in self.sampler.cover(field, INFERENCE_TOKENS):
            batch = tensors(part, self._device)
            masked = torch.from_numpy(part.valid & hidden[part.spot]).to(self._device)
            h = self.model.encode(batch, masked[..., None].expand_as(batch["values"]), ids=True)
            slots = self.model.slots_of(h)[:, : part.valid.shape[1]].float().cpu().numpy()
            sample, token = np.nonzero(part.valid & hidden[part.spot])
            predicted[part.spot[sample, token][:, None], part.genes[sample, 0]] = slots[sample, token]
        predicted[hidden] = predicted[field.owner[hidden]]
        return predicted


def warm_up_then_constant(fraction: float) -> float:
    """Share of the learning rate at a fraction of the budget. The released code means a cosine but never runs it."""
    return min(1.0, (fraction + 0.01) / (WARM_UP + 0.01))
