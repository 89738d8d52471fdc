"""The spot unit: one spot a sample, its genes as tokens (as scGPT has it), on the shared trunk."""

from __future__ import annotations

from benchmark.training.learner import Learner
from benchmark.units.spot import SpotUnit


class Spot(Learner):
    """`n_tokens`: genes of a spot that are shown at once."""

    def __init__(self, n_tokens: int = 128, preset: str = "tiny"):
        super().__init__(SpotUnit(n_tokens=n_tokens), preset)

    reconstruct = None  # a spot unit sees no other spots, so it has nothing to reconstruct a hidden one from
