"""The transformer that all units share, and its presets."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

UNSEEN = -1e30  # as a bias: far below any other, and its weight is 0; of -inf, kernels on some GPUs make NaN
ALIGNED = 16  # of what number of keys kernels on GPUs want a multiple, where there is a bias


@dataclass(frozen=True)
class Preset:
    """The size of a model. The learning rate depends on the size alone, so it is the same for every unit.

    Attributes:
        d: width.
        decoder: number of layers between the embedding and the head.
    """

    d: int
    layers: int
    heads: int
    learning_rate: float
    decoder: int = 0


PRESETS = {
    "nano": Preset(d=32, layers=2, heads=4, learning_rate=4e-3),
    "tiny": Preset(d=64, layers=3, heads=4, learning_rate=3e-3),
    "mini": Preset(d=128, layers=4, heads=4, learning_rate=1.5e-3),
    "small": Preset(d=256, layers=6, heads=8, learning_rate=5e-4),
    "base": Preset(d=768, layers=12, heads=12, learning_rate=2e-4),
    "paper": Preset(d=256, layers=6, heads=8, learning_rate=2e-4, decoder=2),  # as in arXiv 2603.13432
}


class Layer(nn.Module):
    """Attention and feed-forward, each with layer norm before it and a residual connection."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x` `[b, t, d]`, `mask` as scaled_dot_product_attention takes it, e.g. bool `[b, 1, 1, t]` → `[b, t, d]`."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out(attention(q, k, v, mask).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.norm2(x))


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """What each token reads of the others, `[b, heads, t, d / heads]`, as the three that it is made of.

    A bias has large values, of which bf16 keeps few digits: with one, attention is in float32 in a step of bf16 too.

    Args:
        mask: see `Layer.forward`.
    """
    if q.shape[2] == 1:  # a token alone reads itself
        return v
    if not mask.is_floating_point():
        return scaled_dot_product_attention(q, k, v, attn_mask=mask)
    if q.is_cuda and q.shape[2] % ALIGNED:
        k, v, mask = aligned(k, v, mask)
    with nullcontext() if q.is_meta else torch.autocast(q.device.type, enabled=False):
        return scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask.float()).to(v.dtype)


def aligned(k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same keys, values and bias, padded to a multiple of `ALIGNED` keys, of which the new ones are not seen.

    For such kernels PyTorch pads a bias with zeros. Its compiler leaves what it pads as it was in memory, of which the
    gradient can become NaN (docs/speed.md).

    Args:
        k, v: `[b, heads, t, d / heads]`.
        bias: `[b, heads, t, t]`.
    """
    more = -k.shape[2] % ALIGNED
    return pad(k, (0, 0, 0, more)), pad(v, (0, 0, 0, more)), pad(bias, (0, more), value=UNSEEN)


class Trunk(nn.Module):
    """A stack of layers and a last layer norm."""

    def __init__(self, d: int, heads: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(Layer(d, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """`x` `[b, t, d]` → `[b, t, d]`.

        Args:
            valid: the tokens that are not padding, bool `[b, t]`; or a float bias `[b, heads, t, t]` that is added to
                the logits of attention, -inf where the key is not to be seen.
        """
        mask = valid if valid.is_floating_point() else valid[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


def sincos(position: Tensor, d: int) -> Tensor:
    """Sines and cosines of (y, x) at wavelengths of 2 to 200 pitches: `[b, t, 2]` → `[b, t, d]`."""
    wavelength = torch.logspace(0.3, 2.3, d // 4, device=position.device)
    angle = position[..., None] * (2 * torch.pi / wavelength)
    return torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(-2)
