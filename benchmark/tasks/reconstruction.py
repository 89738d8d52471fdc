"""Reconstruction: square holes are cut into a slide, and the method says what was expressed there."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import moments, top_variance
from benchmark.data.normalisation import lognorm
from benchmark.tasks import Measured, NotApplicable
from benchmark.tasks.holes import blinded, holes, window

if TYPE_CHECKING:
    import anndata as ad


class Cut(NamedTuple):
    """The spots that are shown and the hidden ones among them, bool `[n_spots]`; `reason`: why none is, if none is."""

    setting: str
    shown: np.ndarray
    hidden: np.ndarray
    reason: str


@dataclass(frozen=True)
class Reconstruction:
    """A setting for each size of hole, in pitches, and one for each grid: the window that is shown around one hole.

    "hole 4": holes that hide `share` of the slide, all else visible; a wider one leaves less to interpolate from.
    "hole 14 of grid 20": a hole of `grid_hole`, and of all other spots only those in the square of 20 around it. The
    smaller the grid, the more of it is hidden, so scores of two grids are of two tasks.

    Scored on the `n_genes` genes that vary most in the training slides. 4 × 4 orders the leaderboard, by correlation,
    since the scale of a prediction is the easy part. `n_train` of a score is the number of visible spots.
    """

    sizes: tuple[int, ...] = (2, 4, 8)
    grids: tuple[int, ...] = ()
    grid_hole: float = 14
    n_genes: int = 256
    share: float = 0.15

    name: ClassVar[str] = "reconstruction"
    requires: ClassVar[str] = "reconstruct"
    splits: ClassVar[tuple[str, ...]] = ("donor",)
    primary: ClassVar[tuple[str, str]] = ("hole 4", "pearson")
    higher_is_better: ClassVar[bool] = True

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`panel`, the indices of the scored genes, `panel_mean`, their means over the training slides, and for each
        setting that fits `[n_hidden, n_panel]`, log-normalised.

        Args:
            corpus: the training slides, which alone choose the panel.

        Raises:
            ValueError: what the method returns has another shape than the slide, or values that are not finite.
        """
        panel = top_variance(corpus, self.n_genes)
        predicted = {"panel": panel, "panel_mean": moments(corpus)[0][panel]}
        for setting, shown, hidden, _ in self.cuts(slide):
            if not hidden.any():
                continue
            part, there = blinded(slide, shown, hidden), hidden[shown]
            values = np.asarray(method.reconstruct(part, there))
            if values.shape != part.shape or not np.isfinite(values[there]).all():
                where = f"reconstruct({slide.uns['slide']})"
                raise ValueError(f"{where} has shape {values.shape} or is not finite, expected {part.shape}")
            predicted[setting] = values[np.ix_(there, panel)].astype(np.float32)
        return predicted

    def score(self, slide: ad.AnnData, predicted: dict[str, np.ndarray]) -> Iterator[Measured | NotApplicable]:
        truth, name = lognorm(slide.X)[:, predicted["panel"]].toarray(), slide.uns["slide"]
        for setting, shown, hidden, reason in self.cuts(slide):
            if not hidden.any():
                yield NotApplicable(setting, reason, name)
                continue
            n_hidden, n_visible = int(hidden.sum()), int((shown & ~hidden).sum())
            found = metrics(truth[hidden], predicted[setting], predicted["panel_mean"])
            for metric, value in found.items():
                yield Measured(setting, metric, value, name, n_visible, n_hidden)

    def cuts(self, slide: ad.AnnData) -> Iterator[Cut]:
        """What each setting shows and hides: the same spots for every method and seed."""
        position, everything = slide.obsm["position"], np.ones(slide.n_obs, dtype=bool)
        for size in self.sizes:
            hidden = holes(position, size, self.share, zlib.crc32(f"{slide.uns['slide']}/{size}".encode()))
            reason = f"a hole of {size} × {size} pitches would hide more than half of the slide"
            yield Cut(f"hole {size}", everything, hidden, reason)
        for grid in self.grids:
            seed = zlib.crc32(f"{slide.uns['slide']}/grid {grid}".encode())
            shown, hidden = window(position, grid, self.grid_hole, seed)
            hole = f"{self.grid_hole:g} × {self.grid_hole:g}"
            reason = f"a hole of {hole} pitches would leave less than a third of any full window of {grid} × {grid}"
            yield Cut(f"hole {self.grid_hole:g} of grid {grid}", shown, hidden, reason)


def metrics(truth: np.ndarray, predicted: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Agreement of two `[n_spots, n_genes]`; what has nothing to be taken over is left out.

    Errors are means over all values, and over those that are truly zero or not. `r2` is 1 − (squared error of the
    prediction / squared error of `expected`), both summed over all values: 0 for who says what each gene is on average
    in the training slides. Correlations over spots are means over genes; a gene whose truth or prediction is constant
    counts as 0.

    Args:
        expected: each gene's mean over the training slides, `[n_genes]`.
    """
    from scipy.stats import rankdata  # dear to import, and pretraining ranks nothing

    error = predicted.astype(np.float64) - truth
    found = {}
    for suffix, part in (("", error), ("_zero", error[truth == 0]), ("_nonzero", error[truth != 0])):
        if part.size:
            found |= {f"mse{suffix}": float(np.mean(part**2)), f"mae{suffix}": float(np.mean(np.abs(part)))}
    if (total := np.sum((expected - truth.astype(np.float64)) ** 2)) > 0:
        found["r2"] = float(1 - np.sum(error**2) / total)
    found["pearson"] = float(np.mean(pearson(truth, predicted)))
    found["spearman"] = float(np.mean(pearson(rankdata(truth, axis=0), rankdata(predicted, axis=0))))
    return found


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with that of `b`, `[n_columns]`; 0 where either is constant."""
    varies = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = (x[:, varies] - x[:, varies].mean(axis=0, dtype=np.float64) for x in (a, b))
    correlation = np.zeros(len(varies))
    correlation[varies] = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return correlation
