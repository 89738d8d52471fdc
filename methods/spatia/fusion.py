"""Cell fusion: cross-attention between the tokens of a spot's genes and of its image, each side with a weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class CrossAttention(nn.Module):
    """Pre-norm attention of one set of tokens to another and a feed-forward of half the width, both residual."""

    def __init__(self, d: int, d_other: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(d_other, d)
        self.norm_query, self.norm_other, self.norm = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.query, self.key_value, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, d // 2), nn.GELU(), nn.Linear(d // 2, d))

    def forward(self, x: Tensor, other: Tensor, valid: Tensor | None = None) -> Tensor:
        """`x` `[n, a, d]`, `other` `[n, b, d_other]`, of which `valid` `[n, b]` are there (None: all) → `[n, a, d]`."""
        n, a, d = x.shape
        q = self.query(self.norm_query(x)).view(n, a, self.heads, -1).transpose(1, 2)
        both = self.key_value(self.norm_other(self.project(other)))
        k, v = both.view(n, other.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if valid is None else valid[:, None, None]
        h = x + self.out(scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, a, d))
        return h + self.mlp(self.norm(h))


class CellFusion(nn.Module):
    """`H + w F(H, the other's tokens)` on each side that queries; the cell's vector is read from those sides.

    With `cross_attention` false nothing crosses over, and both sides are read.

    Args:
        direction: "image_to_gene" (the genes query), "gene_to_image" (the image does) or "both".
        w: 0 leaves a side exactly as it was.
    """

    def __init__(self, d: int, image_d: int, heads: int, image_heads: int, cross: bool, direction: str, w: float):
        super().__init__()
        self.w_gene = self.w_image = w
        reads_gene = not cross or direction in ("both", "image_to_gene")
        reads_image = not cross or direction in ("both", "gene_to_image")
        self.reads = (reads_gene, reads_image)
        self.gene = CrossAttention(d, image_d, heads) if cross and reads_gene and w else None
        self.image = CrossAttention(image_d, d, image_heads) if cross and reads_image and w else None
        self.join = nn.Linear(d * reads_gene + image_d * reads_image, d)
        self.norm = nn.LayerNorm(d)

    def forward(self, genes: Tensor, valid: Tensor, image: Tensor) -> Tensor:
        """The cell's vector `[n, d]`, from the summary of the gene tokens `[n, t, d]` and the mean of the image's."""
        sides = [self.gene_side(genes[:, :1], image).squeeze(1)] if self.reads[0] else []
        sides += [self.image_side(image, genes, valid).mean(dim=1)] if self.reads[1] else []
        return self.norm(self.join(torch.cat(sides, dim=-1)))

    def gene_side(self, genes: Tensor, image: Tensor) -> Tensor:
        """Gene tokens `[n, a, d]` with what they find in the image."""
        return genes if self.gene is None else genes + self.w_gene * self.gene(genes, image)

    def image_side(self, image: Tensor, genes: Tensor, valid: Tensor) -> Tensor:
        """Image tokens `[n, b, image_d]` with what they find among the genes."""
        return image if self.image is None else image + self.w_image * self.image(image, genes, valid)
