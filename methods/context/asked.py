"""The samples on which it is told what was learned, and what predictors that learn nothing reach on training slides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.data.components import Genes, Normalisation
from benchmark.model.trunk import PRESETS
from benchmark.training.loop import tensors
from benchmark.units.expression import Field, fields
from methods.context import tokens
from methods.context.computed import Rows
from methods.context.explained import Explained
from methods.context.model import ContextModel
from methods.context.objectives import Target
from methods.context.samples import samples
from methods.context.unit import MOST, Side, candidates, most_shown, some

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

Asked = Iterator[tuple[dict[str, torch.Tensor], tuple[torch.Tensor, ...]]]
BATCHES = 16


def asked(model: ContextModel, side: Side, slides: Sequence[tuple[Field, Rows]]) -> Asked:
    """Random samples of slides with the draws of their views, always the same: `BATCHES`, or one a slide.

    Args:
        slides: each with the parts of its spots, see `Tokeniser`.
    """
    device, most = model.reach.device, most_shown(side)
    rng, generator = np.random.default_rng(0), torch.Generator(device).manual_seed(0)
    for laid, parts in slides:
        starts, _ = candidates(laid, side)
        for _ in range(-(-BATCHES // len(slides)) if len(starts) else 0):
            spots = some(laid, side, starts, max(1, MOST // most), most, rng)
            batch = tensors(samples(parts, laid.position, spots), device)
            yield batch, model.draw_views(batch, generator)


@lru_cache(maxsize=8)
def in_training(
    corpus: Corpus, side: Side, normalisation: Normalisation, n_genes: int, genes: Genes, target: Target, hidden: float
) -> Explained:
    """What the untaught predictors reach on the training slides. All seeds and budgets share it."""
    tokeniser, parts = tokens.fit(corpus, normalisation, n_genes, genes)
    model, found = ContextModel(tokeniser.n_components, PRESETS["nano"], target, hidden), Explained()
    for batch, draws in asked(model, side, [*zip(fields(corpus), parts, strict=True)]):
        found.add_untaught(model, batch, draws)
    return found
