"""SPATIA's network: cell, niche and tissue levels, their fusion, and the terms of the loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmark.core.errors import UnitBenchError
from methods.spatia.fusion import CellFusion
from methods.spatia.genes import GeneEncoder, GeneHead
from methods.spatia.image import HIDDEN, ImageEncoder, PatchDecoder
from methods.spatia.niche import Niche
from methods.spatia.presets import Design, Size
from methods.spatia.tissue import Tissue

WEIGHTS = {"genes": 1.0, "mae": 0.1}  # of the terms of the loss
CELL = ("values", "genes", "there", "depth", "tile", "seen")


class Spatia(nn.Module):
    """The parts that the design names, and no others.

    A unit's vector is `z = cell + α_niche W_niche niche + α_tissue W_tissue tissue`, both α zero at the start. Context
    is made of neighbours' vectors that pass no gradient.
    """

    def __init__(self, gene_mean: Tensor, size: Size, design: Design):
        super().__init__()
        self.design, self.size, d = design, size, size.d
        if design.gene:
            self.genes = GeneEncoder(gene_mean, d, size.heads, size.layers)
            self.head = GeneHead(self.genes, d)
        if design.image:
            image = (size.image_d, size.image_layers, size.image_heads)
            self.image = ImageEncoder(size.pixels, size.patch, *image, design.absent)
        if design.image and design.mae:
            self.decoder = PatchDecoder(size.pixels, size.patch, size.image_d, size.image_heads)
        if design.gene and design.image:
            heads = (size.heads, size.image_heads)
            self.fusion = CellFusion(d, size.image_d, *heads, design.cross_attention, design.direction, design.w)
        if design.niche:
            self.niche = Niche(d, size.heads, design.pooling, size.image_d if design.niche_image else None)
        if design.tissue:
            self.tissue = Tissue(d, size.heads)
        levels = ("niche",) * design.niche + ("tissue",) * design.tissue
        self.alpha = nn.ParameterDict({level: nn.Parameter(torch.zeros(())) for level in levels})
        self.level = nn.ModuleDict({level: nn.Linear(d, d) for level in levels})

    def forward(self, batch: dict[str, Tensor], order: Tensor) -> Tensor:
        return sum(WEIGHTS[name] * term for name, term in self.terms(batch, order).items())

    def terms(self, batch: dict[str, Tensor], order: Tensor) -> dict[str, Tensor]:
        """Each requested term of the loss, over the batch's targets: its first rows.

        Args:
            batch: see `methods.spatia.batch.Batch`.
            order: of each target's patches; what comes first is kept in masked autoencoding, `[n_targets, patches]`.
        """
        n = len(order)
        target = {name: batch[name][:n] for name in CELL if name in batch}
        tokens = self._genes(target)
        found = {}
        if self.design.gene:
            z = self._unit(batch, target, tokens)
            found["genes"] = self.head.loss(z, batch["query"], batch["wanted"], batch["asked"], self.genes)
        if self.design.image and self.design.mae:
            kept = order[:, : round((1 - HIDDEN) * order.shape[1])]
            image = self.image(target["tile"], target["seen"], kept)
            if self.design.gene:
                image = self.fusion.image_side(image, *tokens)
            found["mae"] = self.decoder.loss(image, order, target["tile"], target["seen"])
        return found

    def cells(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Of each row, the vector of the spot itself and that of its expression alone, `[n, d]` each."""
        return self._cells(batch, self._genes(batch))

    def niches(
        self, vectors: Tensor, offset: Tensor, there: Tensor, tile: Tensor | None, seen: Tensor | None
    ) -> Tensor:
        """`[n, d]`, from the neighbours' vectors `[n, k, d]` and the niche's image."""
        image = self.image(tile, seen) if self.design.niche_image else None
        return self.niche(vectors, offset, there, image)

    def join(self, cell: Tensor, **context: Tensor) -> Tensor:
        """Fusion of the levels, each `[n, d]`."""
        return cell + sum(self.alpha[level] * self.level[level](vector) for level, vector in context.items())

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """A random order of each target's patches. Hidden genes were drawn with the batch, which lacks them."""
        shape = (len(batch["target"]), (self.size.pixels // self.size.patch) ** 2)
        return torch.rand(shape, generator=generator, device=batch["target"].device).argsort(dim=1)

    def _genes(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        if not self.design.gene:
            return None
        return self.genes(batch["values"], batch["genes"], batch["there"], batch["depth"])

    def _cells(self, batch: Mapping[str, Tensor], tokens: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        if not self.design.image:
            return tokens[0][:, 0], tokens[0][:, 0]
        image = self.image(batch["tile"], batch["seen"])
        if not self.design.gene:
            return image.mean(dim=1), image.mean(dim=1)
        return self.fusion(*tokens, image), tokens[0][:, 0]

    def _unit(self, batch: dict[str, Tensor], target: dict[str, Tensor], tokens: tuple[Tensor, Tensor]) -> Tensor:
        """`z` of the targets, `[n, d]`. They come before their context: under autocast weights that are first met
        without gradients would keep none."""
        cell, expression = self._cells(target, tokens)
        context = {}
        vectors = cell.detach()
        if self.design.niche:
            near = batch["near"]
            own = cell if self.design.niche_image else expression
            around = torch.cat([own.detach(), self._context(batch, len(cell))])[near]
            images = [batch.get(name) for name in ("niche_tile", "niche_seen")]
            context["niche"] = vectors = self.niches(around, batch["offset"], batch["near_there"], *images)
        if self.design.tissue:
            place = batch["place"]
            groups = place.shape[:2]
            there = place.new_ones(groups, dtype=torch.bool)
            tokens = self.tissue.tokens(vectors.unflatten(0, groups), place, there)
            context["tissue"] = self.tissue(cell.unflatten(0, groups), place, tokens, there).flatten(0, 1)
        return self.join(cell, **context)

    @torch.no_grad()
    def _context(self, batch: dict[str, Tensor], n_targets: int) -> Tensor:
        """Vectors of the neighbours that are no targets: of their expression, or fused with their image."""
        rest = {name: batch[name][n_targets:] for name in CELL if name in batch}
        tokens = self._genes(rest)
        return self._cells(rest, tokens)[0] if self.design.niche_image else tokens[0][:, 0]


def check_terms(module: Spatia, batch: dict[str, Tensor], order: Tensor) -> None:
    """Raises UnitBenchError: a term of the loss that the design asks for is absent or moves no weight."""
    if not module.design.terms:
        raise UnitBenchError("spatia", "no objective is left", "set mae to true, or add a level that reads genes")
    found = module.terms(batch, order)
    weights = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for name in module.design.terms:
        gradients = torch.autograd.grad(found[name], weights, allow_unused=True, retain_graph=True)
        if not any(gradient is not None and gradient.any() for gradient in gradients):
            raise UnitBenchError("spatia", f"the loss term {name!r} moves no weight", "leave it out, or mend its data")
