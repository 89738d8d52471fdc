"""The slide unit: a whole slide a sample, its spots as tokens, on the shared trunk."""

from __future__ import annotations

from benchmark.training.learner import Learner
from benchmark.units.slide import SlideUnit


class Slide(Learner):
    """`n_channels`: genes of a slide that are shown at once; `embed`: what a spot is read in, as for the patch."""

    def __init__(self, n_channels: int = 256, embed: str = "slide", preset: str = "tiny"):
        super().__init__(SlideUnit(n_channels=n_channels, context=embed), preset)
