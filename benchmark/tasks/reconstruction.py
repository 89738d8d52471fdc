"""Reconstruction: square holes are cut into a slide, and the method says what was expressed there."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import anndata as ad
import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmark.channels import top_variance
from benchmark.corpus import Corpus
from benchmark.normalise import lognorm
from benchmark.tasks import Measured, NotApplicable


@dataclass(frozen=True)
class Reconstruction:
    """A setting for each size of hole, in pitches. Scored on the `n_genes` genes that vary most in the training slides.

    A wider hole leaves less to interpolate from; 4 × 4 orders the leaderboard, by correlation, since the scale of a
    prediction is the easy part.
    """

    sizes: tuple[int, ...] = (2, 4, 8)
    n_genes: int = 256
    share: float = 0.15

    name: ClassVar[str] = "reconstruction"
    requires: ClassVar[str] = "reconstruct"
    splits: ClassVar[tuple[str, ...]] = ("donor",)
    primary: ClassVar[tuple[str, str]] = ("hole 4", "pearson")
    higher_is_better: ClassVar[bool] = True

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`panel`, the indices of the scored genes, and for each size that fits `[n_hidden, n_panel]` log-normalised.

        Args:
            corpus: the training slides, which alone choose the panel.

        Raises:
            ValueError: what the method returns has another shape than the slide, or values that are not finite.
        """
        panel = top_variance(corpus, self.n_genes)
        predicted = {"panel": panel}
        for size in self.sizes:
            hidden = self.hidden(slide, size)
            if hidden.any():
                values = np.asarray(method.reconstruct(blinded(slide, hidden), hidden))
                if values.shape != slide.shape or not np.isfinite(values[hidden]).all():
                    where = f"reconstruct({slide.uns['slide']})"
                    raise ValueError(f"{where} has shape {values.shape} or is not finite, expected {slide.shape}")
                predicted[f"hole {size}"] = values[np.ix_(hidden, panel)].astype(np.float32)
        return predicted

    def score(self, slide: ad.AnnData, predicted: dict[str, np.ndarray]) -> Iterator[Measured | NotApplicable]:
        truth = lognorm(slide.X)[:, predicted["panel"]].toarray()
        for size in self.sizes:
            setting, name, hidden = f"hole {size}", slide.uns["slide"], self.hidden(slide, size)
            if not hidden.any():
                reason = f"a hole of {size} × {size} pitches would hide more than half of the slide"
                yield NotApplicable(setting, reason, name)
                continue
            for metric, value in metrics(truth[hidden], predicted[setting]).items():
                yield Measured(setting, metric, value, name, n_test=int(hidden.sum()))

    def hidden(self, slide: ad.AnnData, size: int) -> np.ndarray:
        """The same spots, bool `[n_spots]`, for every method and seed."""
        return holes(slide.obsm["position"], size, self.share, zlib.crc32(f"{slide.uns['slide']}/{size}".encode()))


def holes(position: np.ndarray, size: float, share: float, seed: int) -> np.ndarray:
    """Which spots, bool `[n_spots]`, lie in random squares of `size` × `size` pitches that do not overlap.

    A square begins half a pitch before a spot and holds at least 80% of the spots of the densest one. Squares are taken
    until `share` of the spots is hidden or none fits, and never hide more than half: a small slide may have no hole.

    Args:
        position: (y, x) in pitches, `[n_spots, 2]`.
    """
    position = position.astype(np.float64)
    centre = position + (size - 1) / 2
    inside = cKDTree(position).query_ball_point(centre, size / 2, p=np.inf, return_length=True)
    left = np.random.default_rng(seed).permutation(np.flatnonzero(inside >= 0.8 * inside.max()))
    hidden = np.zeros(len(position), dtype=bool)
    while len(left) and hidden.sum() < share * len(position):
        here = centre[left[0]]
        wider = hidden | (np.abs(position - here).max(axis=1) <= size / 2)
        if wider.sum() <= len(position) / 2:
            hidden = wider
            left = left[np.abs(centre[left] - here).max(axis=1) >= size]
        else:
            left = left[1:]
    return hidden


def blinded(slide: ad.AnnData, hidden: np.ndarray) -> ad.AnnData:
    """A copy of the slide without the counts of its hidden spots."""
    copy = slide.copy()
    copy.X = sp.csr_matrix(sp.diags_array((~hidden).astype(np.float32)) @ slide.X)
    copy.X.eliminate_zeros()
    return copy


def metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Errors over all values, and the mean over genes of Pearson's correlation over spots; both `[n_spots, n_genes]`.

    A gene whose truth or prediction is constant counts as a correlation of 0.
    """
    error = predicted.astype(np.float64) - truth
    return {
        "mse": float(np.mean(error**2)),
        "mae": float(np.mean(np.abs(error))),
        "pearson": float(np.mean(pearson(truth, predicted))),
    }


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with that of `b`, `[n_columns]`; 0 where either is constant."""
    varies = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = (x[:, varies] - x[:, varies].mean(axis=0, dtype=np.float64) for x in (a, b))
    correlation = np.zeros(len(varies))
    correlation[varies] = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return correlation
