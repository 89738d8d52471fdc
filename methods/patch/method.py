"""The method `patch`: image-like crops of spots, with genes as channels, as arXiv 2603.13432 has it.

To ask how much tissue a sample should hold, take `context`: its samples differ in their size alone, and it learns more.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from benchmark.core import registry
from benchmark.model.masked import MaskedSpots, Masking
from benchmark.training.learner import Learner
from benchmark.units.crops import Context
from benchmark.units.patch import Lattice, PatchUnit
from methods.patch.bag import BagOfGenes

Tokens = Literal["bound", "bag"]
Backbone = Literal["trunk", "vit", "convnext"]


class Patch(Learner):
    """Every choice of the patch unit.

    Args:
        size: lattice cells along a side of a crop.
        n_channels: genes in a crop.
        channels: the rule that chooses these genes; `unitbench list` names the rules.
        min_occupancy: share of a crop's cells that must hold a spot.
        lattice: "physical" (distances in pitches) or "released" (each axis stretched to 140 cells).
        crops_per_slide: crops of each slide, drawn once; null: drawn anew each time.
        tokens: "bound" (each value times its gene's vector) or "bag" (genes and values summed apart).
        masking: "mixed", "channels", "spots" or "blocks".
        embed: what a spot is read in: "overlap", "centre", "tiles", "self" or "slide".
        donors: share of the training donors that the model learns from.
        preset: size of the trunk.
        backbone: "trunk", which all units share, or a net from timm of about the same size, "vit" or "convnext". Such
            a net reads a crop as an image, so its rule must choose the same genes for every crop.
    """

    def __init__(
        self,
        size: PositiveInt = 8,
        n_channels: PositiveInt = 256,
        channels: str = "variance",
        min_occupancy: NonNegativeFloat = 0.25,
        lattice: Lattice = "physical",
        crops_per_slide: PositiveInt | None = None,
        tokens: Tokens = "bound",
        masking: Masking = "mixed",
        embed: Context = "overlap",
        donors: Annotated[float, Field(gt=0, le=1)] = 1.0,
        preset: str = "tiny",
        backbone: Backbone = "trunk",
    ):
        rule = registry.make("channels", channels, {})
        unit = PatchUnit(size, n_channels, min_occupancy, rule, lattice, crops_per_slide, embed)
        module = partial(MaskedSpots if tokens == "bound" else BagOfGenes, masking=masking)
        if backbone != "trunk":
            from methods.patch.backbones import MaskedImage, check_image  # slow to import: it needs timm

            check_image(backbone, channels, rule.shared, tokens, embed)
            module = partial(MaskedImage, size=size, n_channels=n_channels, backbone=backbone, masking=masking)
        super().__init__(unit, preset, module, donors=donors, panels=tokens == "bound" and backbone == "trunk")
