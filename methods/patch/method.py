"""The patch unit: image-like crops of spots with genes as channels (arXiv 2603.13432), on the shared trunk."""

from __future__ import annotations

from functools import partial

from benchmark.core import registry
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.model.masked import MASKING, TOKENS, MaskedSpots
from benchmark.training.learner import Learner
from benchmark.units.crops import CONTEXTS
from benchmark.units.patch import LATTICES, PatchUnit


class Patch(Learner):
    """Every choice of the patch unit.

    Args:
        size: cells along a side.
        n_channels: genes in a patch.
        channels: the rule that chooses them, a name of `unitbench list`.
        min_occupancy: share of a crop's cells that must be occupied.
        lattice: "physical" (in pitches) or "released" (each axis stretched to 140 cells).
        crops_per_slide: crops drawn once; null: drawn anew each time.
        tokens: "bound" (a value times its gene's vector) or "bag" (genes and values summed apart).
        masking: "mixed", "channels", "spots" or "blocks".
        embed: what a spot is read in: "overlap", "centre", "tiles", "self" or "slide".
        donors: share of the training donors that is learned from.
        preset: size of the trunk.
        backbone: "trunk", which all units share, or "vit" or "convnext": the crop as an image, for a net from timm of
            the trunk's size. An image needs a rule that shows the same genes in every crop.
    """

    def __init__(
        self,
        size: int = 8,
        n_channels: int = 256,
        channels: str = "variance",
        min_occupancy: float = 0.25,
        lattice: str = "physical",
        crops_per_slide: int | None = None,
        tokens: str = "bound",
        masking: str = "mixed",
        embed: str = "overlap",
        donors: float = 1.0,
        preset: str = "tiny",
        backbone: str = "trunk",
    ):
        for option, value, known in (
            ("lattice", lattice, LATTICES),
            ("tokens", tokens, TOKENS),
            ("masking", masking, MASKING),
            ("embed", embed, CONTEXTS),
        ):
            if value not in known:
                raise UnitBenchError(f"patch: {option} {value!r}", "unknown", nearest(value, known))
        rule = registry.make("channels", channels, {})
        unit = PatchUnit(size, n_channels, min_occupancy, rule, lattice, crops_per_slide, embed)
        module = partial(MaskedSpots, tokens=tokens, masking=masking)
        if backbone != "trunk":
            from methods.patch.backbones import MaskedImage, check_image  # timm doubles the time of an import of torch

            check_image(backbone, channels, rule.shared, tokens, embed)
            module = partial(MaskedImage, size=size, n_channels=n_channels, backbone=backbone, masking=masking)
        super().__init__(unit, preset, module, donors=donors)
