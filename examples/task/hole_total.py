"""An example of a task: how far off is the total expression in a hole? Of its metric, less is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric
from benchmark.data.normalisation import normalised
from benchmark.tasks.holes import blinded, holes


@dataclass(frozen=True)
class HoleTotal:
    """Root mean squared error of each hidden spot's summed expression, in holes of `size` × `size` pitches."""

    size: int = 4

    name = "hole_total"
    requires = "reconstruct"
    splits = ("donor",)
    title = "Total expression in a hole"
    metrics = (Metric("rmse_total", "RMSE of the total", lower_is_better=True),)
    key_scores = (KeyScore("RMSE total", "hole", "rmse_total", words="RMSE total: of summed expression in a hole"),)

    def predict(self, method, corpus, slide):
        """`total` `[n_hidden]`, which the method says of the hidden spots."""
        hidden = self.hidden(slide)
        part = blinded(slide, np.ones(slide.n_obs, dtype=bool), hidden)
        total = np.asarray(method.reconstruct(part, hidden))[hidden].sum(axis=1)
        if not np.isfinite(total).all():
            raise ValueError("reconstruct gave values that are not finite")
        return {"total": total}

    def score(self, slide, predicted):
        truth = np.asarray(normalised(slide)[self.hidden(slide)].sum(axis=1)).ravel()
        rmse = float(np.sqrt(np.mean((predicted["total"] - truth) ** 2)))
        yield Measured("hole", "rmse_total", rmse, slide.uns["slide"], n_test=len(truth))

    def hidden(self, slide):
        """The same spots for every method, bool `[n_spots]`."""
        return holes(slide.obsm["position"], self.size, share=0.15, seed=0)
