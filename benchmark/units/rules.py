"""The rules that choose which genes are the channels of a crop. A new rule is a class like these and an entry point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from benchmark.data.gene_selection import draw_weighted, spatial_variation, top_dispersion
from benchmark.units.expression import Field

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class PerCrop:
    """A rule that fits nothing: genes are chosen crop by crop, or slide by slide."""

    shared: ClassVar[bool] = False

    def fit(self, corpus: Corpus, m: int) -> Self:
        """The rule itself."""
        return self


class VarianceDraw(PerCrop):
    """Genes drawn without replacement, with chances in proportion to their variance over the crop's spots.

    The rule of arXiv 2603.13432.
    """

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return draw_weighted(variances(field, member), m, rng)


class Uniform(PerCrop):
    """Genes drawn without replacement, each with the same chance."""

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return draw_weighted(np.ones((len(member), field.by_gene.shape[0]), np.float32), m, rng)


class TopVariance(PerCrop):
    """The genes that vary most over the crop's spots."""

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return torch.from_numpy(variances(field, member)).topk(m, dim=1).indices.numpy()


class SlideHVG(PerCrop):
    """The most variable genes for their mean over the visible spots of the slide (flavour "seurat")."""

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return field.by_own_dispersion[None, :m]


@dataclass(frozen=True)
class Panel:
    """The same genes for every crop of every slide. A subclass fits them on the training slides."""

    genes: tuple[int, ...] = ()
    shared: ClassVar[bool] = True

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return np.array(self.genes[:m], dtype=np.int64)[None]


class CorpusHVG(Panel):
    """The most variable genes for their mean over all training spots (flavour "seurat")."""

    def fit(self, corpus: Corpus, m: int) -> Panel:
        return CorpusHVG(tuple(top_dispersion(corpus, m).tolist()))


class Moran(Panel):
    """The genes with the greatest spatial autocorrelation: Moran's I, mean over the training slides."""

    def fit(self, corpus: Corpus, m: int) -> Panel:
        return Moran(tuple(np.argsort(-spatial_variation(corpus), kind="stable")[:m].tolist()))


def variances(field: Field, member: np.ndarray) -> np.ndarray:
    """Population variance of every gene over the spots of each crop; 0 for an empty crop.

    Args:
        member: the spots of each crop, bool `[n_crops, n_spots]`.

    Returns:
        float32 `[n_crops, n_genes]`, at least 0.
    """
    share = member / np.maximum(member.sum(axis=1, keepdims=True), 1)
    share = torch.from_numpy(np.ascontiguousarray(share.T, dtype=np.float32))
    mean, square = (matrix @ share for matrix in field.moments)
    return (square - mean.square()).clamp_(min=0).t().contiguous().numpy()
