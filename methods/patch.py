"""The patch unit: image-like crops of spots with genes as channels (arXiv 2603.13432), on the shared trunk."""

from __future__ import annotations

from benchmark.model.learner import Learner
from benchmark.units.patch import PatchUnit


class Patch(Learner):
    """`size`: cells along a side; `n_channels`: genes in a patch."""

    def __init__(self, size: int = 8, n_channels: int = 256, preset: str = "tiny"):
        super().__init__(PatchUnit(size=size, n_channels=n_channels), preset)
