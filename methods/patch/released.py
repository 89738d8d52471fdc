"""The patch unit with every quirk of its released code: what the corrected one is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

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
INFERENCE_SIDE = 100  # the grid of the inference scripts; pretraining has 140 cells a side


class FirstOfVariable(PerCrop):
    """Of a tile's 2,000 most variable genes those that come first in the file, not those that vary most."""

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        found = torch.from_numpy(variances(field, member))
        variable = found.topk(min(max(HVG, m), found.shape[1]), dim=1).indices
        return variable.sort(dim=1).values[:, :m].numpy()


@dataclass(frozen=True)
class ReleasedUnit(PatchUnit):
    """Crops as released: stretched axes, drawn once, as many a slide whatever it holds; another grid at inference.

    At inference the grid is 100 cells a side and transposed, the last spot of a cell keeps it, a spot is read in its
    tile, and the genes are chosen by another rule.
    """

    sparse_slides_dropped = True

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Empty cells are tokens too."""
        self._candidates(corpus)  # prepares the corpus, before the clock runs
        return float(self.size**2)

    def lay(self, field: Field) -> Field:
        laid = stretched(field, INFERENCE_SIDE, last_wins=True)
        return replace(laid, lattice=laid.lattice[:, ::-1], position=laid.position[:, ::-1])

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        return cover(field, "tiles", self.size, FirstOfVariable(), self.n_channels, tokens)


class PatchReleased(Learner):
    """The patch unit as it was released. `size`: cells along a side, of 140; `n_channels`: genes in a patch."""

    def __init__(self, size: int = 16, n_channels: int = 512, preset: str = "tiny"):
        unit = ReleasedUnit(
            size,
            n_channels,
            min_occupancy=10 / size**2,  # 10 spots
            rule=VarianceDraw(),
            lattice="released",
            crops_per_slide=int(2 * (STRETCHED + 1) ** 2 / size**2),
        )
        super().__init__(unit, preset, partial(Released, size=size, n_channels=n_channels), warm_up_then_constant)

    @torch.inference_mode()
    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """`[n_spots, n_genes]`: in a tile's slots what the head says, elsewhere 0, as no slot is the gene's."""
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
    """The intended cosine never runs in the released code."""
    return min(1.0, (fraction + 0.01) / (WARM_UP + 0.01))
