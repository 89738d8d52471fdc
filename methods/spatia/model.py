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
CELL = ("values", "genes", "valid", "depth", "tile", "seen")  # what a spot itself is read by


class Spatia(nn.Module):
    """The parts that the design names, and no others.

    A unit's vector is `z = cell + α_niche W_niche niche + α_tissue W_tissue tissue`. Both α start at zero. The context
    is made of neighbours' vectors, and no gradient passes through these.
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
        """The weighted sum of the loss's terms."""
        return sum(WEIGHTS[name] * term for name, term in self.terms(batch, order).items())

    def terms(self, batch: dict[str, Tensor], order: Tensor) -> dict[str, Tensor]:
        """Each term of the loss that the design names, over the batch's targets: its first rows.

        Args:
            batch: see `methods.spatia.batch.Batch`.
            order: each target's patches in random order, `[n_targets, patches]`. Masked autoencoding keeps the first.
        """
        n = len(order)
        target = {name: batch[name][:n] for name in CELL if name in batch}
        tokens = self._genes(target)
        terms = {}
        if self.design.gene:
            z = self._unit(batch, target, tokens)
            terms["genes"] = self.head.loss(z, batch["query"], batch["wanted"], batch["asked"], self.genes)
        if self.design.image and self.design.mae:
            kept = order[:, : round((1 - HIDDEN) * order.shape[1])]
            image = self.image(target["tile"], target["seen"], kept)
            if self.design.gene:
                image = self.fusion.image_side(image, *tokens)
            terms["mae"] = self.decoder.loss(image, order, target["tile"], target["seen"])
        return terms

    def cells(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """For each row, the vector of the spot and the vector of its expression alone, `[n, d]` each."""
        return self._cells(batch, self._genes(batch))

    def niches(
        self, vectors: Tensor, offset: Tensor, valid: Tensor, tile: Tensor | None, seen: Tensor | None
    ) -> Tensor:
        """`[n, d]`, from the neighbours' vectors `[n, k, d]` and the niche's image."""
        image = self.image(tile, seen) if self.design.niche_image else None
        return self.niche(vectors, offset, valid, image)

    def join(self, cell: Tensor, **context: Tensor) -> Tensor:
        """The unit's vector `[n, d]`, from the levels' vectors `[n, d]` each."""
        return cell + sum(self.alpha[level] * self.level[level](vector) for level, vector in context.items())

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """A random order of each target's patches, `[n_targets, patches]`. Genes were hidden as the batch was drawn."""
        shape = (len(batch["target"]), (self.size.pixels // self.size.patch) ** 2)
        return torch.rand(shape, generator=generator, device=batch["target"].device).argsort(dim=1)

    def _genes(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        if not self.design.gene:
            return None
        return self.genes(batch["values"], batch["genes"], batch["valid"], batch["depth"])

    def _cells(self, batch: Mapping[str, Tensor], tokens: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        if not self.design.image:
            return tokens[0][:, 0], tokens[0][:, 0]
        image = self.image(batch["tile"], batch["seen"])
        if not self.design.gene:
            return image.mean(dim=1), image.mean(dim=1)
        return self.fusion(*tokens, image), tokens[0][:, 0]

    def _unit(self, batch: dict[str, Tensor], target: dict[str, Tensor], tokens: tuple[Tensor, Tensor]) -> Tensor:
        """`z` of the targets, `[n, d]`.

        The targets are read before their context. Autocast keeps its first copy of a weight, and a copy that is made
        without gradients would leave the weight without one.
        """
        cell, expression = self._cells(target, tokens)
        context = {}
        vectors = cell.detach()
        if self.design.niche:
            near = batch["near"]
            neighbour = cell if self.design.niche_image else expression
            around = torch.cat([neighbour.detach(), self._context(batch, len(cell))])[near]
            images = [batch.get(name) for name in ("niche_tile", "niche_seen")]
            context["niche"] = vectors = self.niches(around, batch["offset"], batch["near_valid"], *images)
        if self.design.tissue:
            position = batch["position"]
            groups = position.shape[:2]
            valid = position.new_ones(groups, dtype=torch.bool)
            tokens = self.tissue.tokens(vectors.unflatten(0, groups), position, valid)
            context["tissue"] = self.tissue(cell.unflatten(0, groups), position, tokens, valid).flatten(0, 1)
        return self.join(cell, **context)

    @torch.no_grad()
    def _context(self, batch: dict[str, Tensor], n_targets: int) -> Tensor:
        """Vectors of the neighbours that are no targets, `[n_context, d]`: expression, or fused with their image."""
        rest = {name: batch[name][n_targets:] for name in CELL if name in batch}
        tokens = self._genes(rest)
        return self._cells(rest, tokens)[0] if self.design.niche_image else tokens[0][:, 0]


def check_terms(module: Spatia, batch: dict[str, Tensor], order: Tensor) -> None:
    """Raises UnitBenchError: the design has no term of the loss, or a term moves no weight."""
    if not module.design.terms:
        raise UnitBenchError("spatia", "no objective is left", "set mae to true, or add a level that reads genes")
    terms = module.terms(batch, order)
    weights = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for name in module.design.terms:
        gradients = torch.autograd.grad(terms[name], weights, allow_unused=True, retain_graph=True)
        if not any(gradient is not None and gradient.any() for gradient in gradients):
            raise UnitBenchError(
                "spatia", f"the loss term {name!r} moves no weight", "leave it out, or repair its data"
            )
