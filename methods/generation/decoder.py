"""The image decoder: a small U-Net around a transformer, whose image tokens read expression by cross-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, scaled_dot_product_attention, silu

from benchmark.model.trunk import Preset, sincos
from methods.generation.merging import SQUARE, n_merged, plan

TIME_SCALE = 1000.0  # time runs from 0 to 1


class Attention(nn.Module):
    """Attention with queries from `x` and with keys and values from `context`, which may be `x` itself."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """`x` `[b, n, d]`, `context` `[b, m, d]` → `[b, n, d]`."""
        b, n, d = x.shape
        q = self.query(x).view(b, n, self.heads, -1).transpose(1, 2)
        k, v = self.key_value(context).view(b, context.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    """Self-attention, cross-attention to the gene tokens, and a feed-forward, over image tokens.

    Time and the pooled expression shift, scale and gate the self-attention and the feed-forward (Peebles and Xie 2023,
    ICCV). Where a ratio is given, these two run on merged image tokens. The cross-attention merges no tokens.

    Args:
        side: image tokens along a side of the image.
        merging: share of image tokens that are merged; 0: the layer has no merging.
    """

    def __init__(self, d: int, heads: int, side: int, merging: float):
        super().__init__()
        self.side, self.merging = side, merging
        self.norm1, self.norm3 = (nn.LayerNorm(d, elementwise_affine=False) for _ in range(2))
        self.norm2 = nn.LayerNorm(d)
        self.attention, self.cross = Attention(d, heads), Attention(d, heads)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.modulation = nn.Linear(d, 6 * d)
        nn.init.normal_(self.modulation.weight, std=0.02)
        # Shifts and scales start near 0, gates near 1.
        self.modulation.bias.data = torch.tensor([0.0, 0, 1, 0, 0, 1]).repeat_interleave(d)

    def forward(self, x: Tensor, genes: Tensor, condition: Tensor, pick: Tensor) -> Tensor:
        """Image tokens `[b, n, d]`, gene tokens `[b, n_genes, d]`, condition `[b, d]`, `[n_picks]` → `[b, n, d]`."""
        shift1, scale1, gate1, shift3, scale3, gate3 = self.modulation(condition)[:, None].chunk(6, dim=-1)
        h = self.norm1(x) * (1 + scale1) + shift1
        merging = plan(h, self.side, self.merging, pick) if self.merging else None
        h = h if merging is None else merging.merge(h)
        h = self.attention(h, h)
        x = x + gate1 * (h if merging is None else merging.unmerge(h))
        x = x + self.cross(self.norm2(x), genes)
        h = self.norm3(x) * (1 + scale3) + shift3
        h = self.mlp(h if merging is None else merging.merge(h))
        return x + gate3 * (h if merging is None else merging.unmerge(h))


class Expression(nn.Module):
    """A spot's expression as one token for each gene: a vector of the gene, plus its value times a second vector.

    Args:
        gene_mean, gene_scale: mean and standard deviation of the panel's genes over the training spots, `[n_genes]`.
        removed: whether all spots get the same tokens. The difference shows what the condition is worth.
    """

    def __init__(self, gene_mean: Tensor, gene_scale: Tensor, d: int, removed: bool = False):
        super().__init__()
        self.register_buffer("gene_mean", gene_mean.float())
        self.register_buffer("gene_scale", gene_scale.float().clamp(min=1e-6))
        self.removed = removed
        self.gene = nn.Parameter(torch.randn(len(gene_mean), d) * 0.5)
        self.value = nn.Parameter(torch.randn(len(gene_mean), d) * 0.5)
        self.pool = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, d))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """log1p of counts per 10,000 `[b, n_genes]` → tokens `[b, n_genes, d]` and one pooled vector `[b, d]`."""
        x = (values - self.gene_mean) / self.gene_scale
        x = torch.zeros_like(x) if self.removed else x
        pooled = self.pool(x @ self.value / len(self.gene_mean) ** 0.5)
        return self.gene + x[..., None] * self.value, pooled


class Decoder(nn.Module):
    """From a noisy or partly changed image, its time and a spot's expression to a field of the image's shape.

    A U-Net of one level: pixels → tokens of `patch` × `patch` pixels → transformer → pixels, which are joined with the
    input's. The condition acts on this join too, since the share of the input that belongs to the output depends on
    the time.

    Args:
        pixels: along a side of the image.
        patch: pixels along a side of a token.
        merging: share of image tokens merged in self-attention and feed-forward; 0: the layers have no merging.
    """

    def __init__(self, expression: Expression, preset: Preset, pixels: int, patch: int, merging: float = 0.0):
        super().__init__()
        d, c, self.patch, self.side = preset.d, preset.d // 2, patch, pixels // patch
        self.n_picks = (self.side // SQUARE) ** 2 if n_merged(self.side, merging) else 0
        self.expression = expression
        self.stem = nn.Conv2d(3, c, 3, padding=1)
        self.down, self.up = nn.Conv2d(c, d, patch, stride=patch), nn.Linear(d, c * patch**2)
        self.join, self.last = nn.Conv2d(2 * c, c, 3, padding=1), nn.Conv2d(c, 3, 3, padding=1)
        position = torch.cartesian_prod(*2 * [torch.arange(self.side) - (self.side - 1) / 2])
        self.register_buffer("position", sincos(position[None], d), persistent=False)
        self.register_buffer("frequency", torch.logspace(0, -4, d // 2), persistent=False)
        self.time = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, d))
        ratio = merging if self.n_picks else 0.0
        self.blocks = nn.ModuleList(Block(d, preset.heads, self.side, ratio) for _ in range(preset.layers))
        self.norm, self.modulation = nn.LayerNorm(d), nn.Linear(d, 4 * c)

    def forward(self, x: Tensor, t: Tensor, values: Tensor, pick: Tensor) -> Tensor:
        """The field, `[b, 3, p, p]`.

        Args:
            x: images, `[b, 3, p, p]`.
            t: times in [0, 1], `[b]`.
            values: expression, log1p of counts per 10,000, `[b, n_genes]`.
            pick: draws of token merging, `[n_picks]`, as from `draw_pick`.
        """
        genes, pooled = self.expression(values)
        angle = t[:, None] * TIME_SCALE * self.frequency
        condition = silu(self.time(torch.cat([angle.sin(), angle.cos()], dim=-1)) + pooled)
        stem = self.stem(x)
        h = self.down(silu(stem)).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            h = block(h, genes, condition, pick)
        h = self.up(self.norm(h)).transpose(1, 2).unflatten(2, (self.side, self.side))
        h = torch.cat([pixel_shuffle(h, self.patch), stem], dim=1)
        scale, shift = self.modulation(condition)[..., None, None].chunk(2, dim=1)
        return self.last(silu(self.join(h * (1 + scale) + shift)))

    def draw_pick(self, generator: torch.Generator) -> Tensor:
        """Which token of each square is its destination in one pass, int64 `[n_picks]`."""
        return torch.randint(SQUARE**2, (self.n_picks,), generator=generator, device=generator.device)
