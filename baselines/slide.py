"""The method `slide`: a whole slide is a sample, its spots are the tokens, on the shared trunk."""

from __future__ import annotations

from pydantic import PositiveInt

from benchmark.training.learner import Learner
from benchmark.units.crops import Context
from benchmark.units.slide import SlideUnit


class Slide(Learner):
    """The slide unit.

    Args:
        n_channels: genes of a slide that are shown at once.
        embed: what a spot is read in, as for the patch.
        preset: size of the trunk.
        max_spots: of a sample. Of a larger slide each sample shows a random part, and it is read in such parts:
            attention costs the square of the spots.
    """

    def __init__(
        self,
        n_channels: PositiveInt = 256,
        embed: Context = "slide",
        preset: str = "tiny",
        max_spots: PositiveInt = 8192,
    ):
        super().__init__(SlideUnit(n_channels=n_channels, context=embed, max_spots=max_spots), preset)
