"""Cell fusion: cross-attention between the tokens of a spot's genes and of its image, each side with a weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from methods.spatia.presets import Direction


class CrossAttention(nn.Module):
    """Pre-norm attention from one set of tokens to another, then a feed-forward of half the width; both residual."""

    def __init__(self, d: int, d_other: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(d_other, d)
        self.norm_query, self.norm_other, self.norm = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.query, self.key_value, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, d // 2), nn.GELU(), nn.Linear(d // 2, d))

    def forward(self, x: Tensor, other: Tensor, valid: Tensor | None = None) -> Tensor:
        """`x` `[n, a, d]`, `other` `[n, b, d_other]` → `[n, a, d]`.

        Args:
            valid: which tokens of `other` are no padding, bool `[n, b]`; None: all.
        """
        n, a, d = x.shape
        q = self.query(self.norm_query(x)).view(n, a, self.heads, -1).transpose(1, 2)
        both = self.key_value(self.norm_other(self.project(other)))
        k, v = both.view(n, other.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if valid is None else valid[:, None, None]
        h = x + self.out(scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, a, d))
        return h + self.mlp(self.norm(h))


class CellFusion(nn.Module):
    """On each side that queries: `H + w F(H, tokens of the other side)`. The cell's vector is read from those sides.

    Where `cross` is false, nothing crosses over and both sides are read.

    Args:
        direction: "image_to_gene" (the gene tokens query), "gene_to_image" (the image tokens query) or "both".
        w: weight of what crosses over. At 0 a side stays exactly as it was.
    """

    def __init__(self, d: int, image_d: int, heads: int, image_heads: int, cross: bool, direction: Direction, w: float):
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
        """The cell's vector `[n, d]`, from the summary of its gene tokens and the mean of its image tokens.

        Args:
            genes: gene tokens, the summary first, `[n, t, d]`.
            valid: which gene tokens are no padding, bool `[n, t]`.
            image: image tokens, `[n, b, image_d]`.
        """
        sides = [self.gene_side(genes[:, :1], image).squeeze(1)] if self.reads[0] else []
        sides += [self.image_side(image, genes, valid).mean(dim=1)] if self.reads[1] else []
        return self.norm(self.join(torch.cat(sides, dim=-1)))

    def gene_side(self, genes: Tensor, image: Tensor) -> Tensor:
        """Gene tokens with what they read in the image, `[n, a, d]`."""
        return genes if self.gene is None else genes + self.w_gene * self.gene(genes, image)

    def image_side(self, image: Tensor, genes: Tensor, valid: Tensor) -> Tensor:
        """Image tokens with what they read in the genes, `[n, b, image_d]`."""
        return image if self.image is None else image + self.w_image * self.image(image, genes, valid)
