"""What an arm is made of: the sizes of its parts, and the parts that its levels name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmark.core.errors import UnitBenchError, nearest

Direction = Literal["both", "image_to_gene", "gene_to_image"]
Pooling = Literal["attention", "mean", "sum"]
BASES = ("gene", "image", "cell")
CONTEXTS = ("niche", "niche_image", "tissue")


@dataclass(frozen=True)
class Size:
    """Sizes of the parts.

    Attributes:
        d, layers, heads: of the gene encoder.
        image_d, image_layers, image_heads: of the image encoder.
        n_tokens: genes of a spot that are shown at once.
        pixels, patch: sides of a tile and of its patches.
        learning_rate: at its peak.
        sections: slides of a step.
        targets: spots of each of these slides. They are the tissue of each other.
    """

    d: int
    layers: int
    heads: int
    image_d: int
    image_layers: int
    image_heads: int
    n_tokens: int
    pixels: int
    patch: int
    learning_rate: float
    sections: int = 2
    targets: int = 16


PRESETS = {
    "nano": Size(32, 1, 4, 32, 1, 4, n_tokens=32, pixels=16, patch=4, learning_rate=4e-3),
    "T0": Size(64, 2, 4, 64, 2, 4, n_tokens=64, pixels=32, patch=8, learning_rate=3e-3),
    "T1": Size(96, 3, 4, 96, 3, 4, n_tokens=128, pixels=64, patch=16, learning_rate=2e-3, targets=32),
    "T2": Size(256, 8, 8, 768, 12, 12, n_tokens=1000, pixels=224, patch=16, learning_rate=2e-4, targets=64),
}


def size_of(preset: str, width: int | None, pixels: int | None) -> Size:
    """The preset's sizes, with another `d` or other `pixels` where they are given.

    Raises:
        UnitBenchError: no such preset; names the nearest one.
    """
    if preset not in PRESETS:
        raise UnitBenchError(f"spatia: preset {preset!r}", "unknown", nearest(preset, PRESETS))
    size = PRESETS[preset]
    return replace(size, d=width or size.d, pixels=pixels or size.pixels)


@dataclass(frozen=True)
class Design:
    """The parts of an arm.

    Attributes:
        gene, image: encoders that read the spot itself.
        cross_attention: whether the two are fused; else their summaries are joined.
        direction: what crosses over: "image_to_gene" (gene tokens query the image), "gene_to_image" (image tokens
            query the genes) or "both". The spot's vector is read from the sides that query.
        w: weight of what crosses over.
        niche: the level of the neighbours' expression.
        niche_image: the level of the neighbours' fused vectors and of the niche's image.
        pooling: how the neighbours are pooled.
        tissue: the level of the whole section.
        mae: whether hidden patches of the image are an objective.
        absent: whether a slide may lack an image; its spots are then seen as one learned token.
    """

    gene: bool = True
    image: bool = True
    cross_attention: bool = True
    direction: Direction = "both"
    w: float = 1.0
    niche: bool = False
    niche_image: bool = False
    pooling: Pooling = "attention"
    tissue: bool = False
    mae: bool = True
    absent: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the loss."""
        return ("genes",) * self.gene + ("mae",) * (self.image and self.mae)


def parts(levels: str) -> dict[str, bool]:
    """The fields of a `Design` that the levels name, such as "cell-niche_image-tissue".

    The first level tells what a spot itself is read by: "gene", "image", or "cell" for both.

    Raises:
        UnitBenchError: an unknown level, or a context that no objective would reach.
    """
    base, *context = levels.split("-")
    for level, known in ((base, BASES), *((level, CONTEXTS) for level in context)):
        if level not in known:
            raise UnitBenchError(f"spatia: levels {levels!r}: {level!r}", "unknown", nearest(level, known))
    if base == "image" and context:
        raise UnitBenchError(f"spatia: levels {levels!r}", "no expression to learn a context from", 'set "image"')
    if base == "gene" and "niche_image" in context:
        raise UnitBenchError(f"spatia: levels {levels!r}", "the level gene reads no images", 'set "gene-niche"')
    return {
        "gene": base != "image",
        "image": base != "gene",
        "niche": bool({"niche", "niche_image"} & set(context)),
        "niche_image": "niche_image" in context,
        "tissue": "tissue" in context,
    }
