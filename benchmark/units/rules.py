"""The rules that choose which genes are the channels of a crop. A new rule is a class like these and an entry point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from benchmark.data.gene_selection import draw_weighted, ranked_by_dispersion, spatial_variation
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

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return field.panel[draw_weighted(variances(field, spots), m, rng)]


class Uniform(PerCrop):
    """Genes drawn without replacement, each with the same chance."""

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return field.panel[draw_weighted(np.ones((len(spots), len(field.panel)), np.float32), m, rng)]


class TopVariance(PerCrop):
    """The genes that vary most over the crop's spots."""

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return field.panel[torch.from_numpy(variances(field, spots)).topk(m, dim=1).indices.numpy()]


class SlideHVG(PerCrop):
    """The most variable genes for their mean over the visible spots of the slide (flavour "seurat")."""

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        return field.by_own_dispersion[None, :m]


@dataclass(frozen=True)
class Panel:
    """The same genes for every crop. A subclass ranks all genes on the training slides; a slide shows the first that
    it has measured."""

    genes: tuple[int, ...] = ()
    shared: ClassVar[bool] = True

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        ranked = np.array(self.genes, dtype=np.int64)
        return ranked[np.isin(ranked, field.panel)][None, :m]


class CorpusHVG(Panel):
    """The most variable genes for their mean over all training spots (flavour "seurat")."""

    def fit(self, corpus: Corpus, m: int) -> Panel:
        return CorpusHVG(tuple(ranked_by_dispersion(corpus).tolist()))


class Moran(Panel):
    """The genes with the greatest spatial autocorrelation: Moran's I, mean over the training slides."""

    def fit(self, corpus: Corpus, m: int) -> Panel:
        return Moran(tuple(np.argsort(-spatial_variation(corpus), kind="stable").tolist()))


def variances(field: Field, spots: np.ndarray) -> np.ndarray:
    """Population variance of every measured gene over the spots of each crop; 0 for an empty crop.

    Args:
        spots: of each crop, `[n_crops, t]`, -1 where padded.

    Returns:
        float32 `[n_crops, n_panel]`, at least 0.
    """
    mean, square = field.moments(spots)
    return np.maximum(square - mean**2, 0)
