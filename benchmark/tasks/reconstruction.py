"""Reconstruction: square holes are cut into a slide, and the method predicts the expression inside them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split
from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import moments, top_variance
from benchmark.data.normalisation import normalised
from benchmark.data.panel import measured
from benchmark.metrics import expression
from benchmark.tasks.holes import blinded, holes, window

if TYPE_CHECKING:
    import anndata as ad


class Cut(NamedTuple):
    """One setting on one slide.

    shown: spots that the method gets, bool `[n_spots]`.
    hidden: those of them without counts, bool `[n_spots]`.
    reason: why no spot is hidden, if none is.
    """

    setting: str
    shown: np.ndarray
    hidden: np.ndarray
    reason: str


@dataclass(frozen=True)
class Reconstruction:
    """A setting for each of `sizes`, the side of a hole in pitches, and for each of `grids`, the side of a window.

    "hole 4": holes hide `share` of the slide, and all other spots are visible. A wider hole is harder to interpolate.
    "hole 14 of grid 20": one hole of side `grid_hole`; of the other spots only those in the window of side 20 around it
    are visible. In a smaller window a larger share is hidden, so scores of two grids are not comparable.

    Scores are of the `n_genes` genes that vary most in the training slides. Holes of 4 × 4 order the leaderboard, by
    correlation, since the scale of a prediction is the easy part. `n_train` of a score is the number of visible spots.
    """

    sizes: tuple[int, ...] = (2, 4, 8)
    grids: tuple[int, ...] = ()
    grid_hole: float = 14
    n_genes: int = 256
    share: float = 0.15

    name: ClassVar[str] = "reconstruction"
    requires: ClassVar[str] = "reconstruct"
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Reconstruction"
    order: ClassVar[int] = 40
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("mse", "MSE", lower_is_better=True),
        Metric("mae", "MAE", lower_is_better=True),
        Metric("mse_zero", "MSE of zeros", lower_is_better=True),
        Metric("mae_zero", "MAE of zeros", lower_is_better=True),
        Metric("mse_nonzero", "MSE of non-zeros", lower_is_better=True),
        Metric("mae_nonzero", "MAE of non-zeros", lower_is_better=True),
        Metric("pearson", "Pearson"),
        Metric("spearman", "Spearman"),
        Metric("r2", "R² against the training gene mean"),
    )
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore(
            "r hole 4", "hole 4", "pearson", words="r hole 4: Pearson of reconstructed expression", also="hole .*"
        ),
    )
    settings: ClassVar[Mapping[str, str]] = {
        r"hole (\S+)": r"holes of \1 × \1 pitches",
        r"hole (\S+) of grid (\S+)": r"a hole of \1 × \1 pitches in a window of \2 × \2",
    }

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """Predictions `[n_hidden, n_panel]`, log-normalised, for each setting that fits the slide.

        Also `panel`, the indices of the scored genes, and `panel_mean`, their means over the training slides.

        Args:
            corpus: the training slides; they choose the panel.

        Raises:
            ValueError: what the method returns has another shape than the slide, or values that are not finite.
        """
        panel = top_variance(corpus, self.n_genes)
        predicted = {"panel": panel, "panel_mean": moments(corpus)[0][panel]}
        for setting, shown, hidden, _ in self.cuts(slide):
            if not hidden.any():
                continue
            part, target = blinded(slide, shown, hidden), hidden[shown]
            values = np.asarray(method.reconstruct(part, target))
            if values.shape != part.shape or not np.isfinite(values[target]).all():
                where = f"reconstruct({slide.uns['slide']})"
                raise ValueError(f"{where} has shape {values.shape} or is not finite, expected {part.shape}")
            predicted[setting] = values[np.ix_(target, panel)].astype(np.float32)
        return predicted

    def score(self, slide: ad.AnnData, predicted: Mapping[str, np.ndarray]) -> Iterator[Measured | NotApplicable]:
        """Predicted against measured expression of the hidden spots, of the genes that the slide has measured; a
        setting that hides none with its reason."""
        known, name = measured(slide)[predicted["panel"]], slide.uns["slide"]
        truth = normalised(slide)[:, predicted["panel"][known]].toarray()
        for setting, shown, hidden, reason in self.cuts(slide):
            if not hidden.any():
                yield NotApplicable(setting, reason, name)
                continue
            n_hidden, n_visible = int(hidden.sum()), int((shown & ~hidden).sum())
            scores = expression.reconstruction(
                truth[hidden], predicted[setting][:, known], predicted["panel_mean"][known]
            )
            for metric, value in scores.items():
                yield Measured(setting, metric, value, name, n_visible, n_hidden)

    def cuts(self, slide: ad.AnnData) -> Iterator[Cut]:
        """The spots that each setting shows and hides, the same for every method and seed."""
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
