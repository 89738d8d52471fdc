"""The method `spot_genes`: one spot is a sample, its genes are the tokens (as in scGPT), on the shared trunk."""

from __future__ import annotations

from pydantic import PositiveInt

from benchmark.training.learner import Learner
from benchmark.units.spot import SpotUnit


class SpotGenes(Learner):
    """Tokens are genes. `n_tokens`: genes of a spot that are shown at once; `preset`: size of the trunk."""

    def __init__(self, n_tokens: PositiveInt = 128, preset: str = "tiny"):
        super().__init__(SpotUnit(n_tokens=n_tokens), preset)

    reconstruct = None  # a sample holds no other spots, from which a hidden spot could be reconstructed
