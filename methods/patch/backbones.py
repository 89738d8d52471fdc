"""A crop as an image: each gene is a channel, each lattice cell a pixel, and a net from timm reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import timm
import torch
from torch import Tensor, nn

from benchmark.core.errors import UnitBenchError
from benchmark.model.masked import MaskedSpots, Masking
from benchmark.model.trunk import Preset, sincos


def vit(preset: Preset, size: int, in_chans: int) -> nn.Module:
    """A vision transformer whose patches are pixels: the trunk's layers, with a learned vector for each pixel.

    The learned vectors start as the trunk's sines and cosines. timm starts them near zero, and then the net learns
    positions far more slowly.
    """
    net = timm.create_model(
        "vit_tiny_patch16_224",
        features_only=True,
        out_indices=(preset.layers - 1,),
        img_size=size,
        patch_size=1,
        in_chans=in_chans,
        embed_dim=preset.d,
        depth=preset.layers,
        num_heads=preset.heads,
        class_token=False,
        global_pool="",
    )
    position = torch.cartesian_prod(*2 * [torch.arange(size) - (size - 1) / 2])
    net.model.pos_embed.data.copy_(sincos(position[None], preset.d))
    return net


def convnext(preset: Preset, size: int, in_chans: int) -> nn.Module:
    """A ConvNeXt of one stage that keeps the full resolution ("isotropic" in Liu et al. 2022, CVPR).

    Three blocks have about as many parameters as two layers of the trunk. The layer scale starts at 1. timm starts it
    near 0, which is meant for far deeper nets.
    """
    return timm.create_model(
        "convnext_tiny",
        features_only=True,
        out_indices=(0,),
        patch_size=1,
        in_chans=in_chans,
        depths=(3 * preset.layers // 2, 0, 0, 0),
        dims=(preset.d,) * 4,
        ls_init_value=1.0,
    )


BACKBONES: dict[str, Callable[[Preset, int, int], nn.Module]] = {"vit": vit, "convnext": convnext}


def check_image(backbone: str, rule: str, same_genes: bool, tokens: str, context: str) -> None:
    """Raises UnitBenchError: settings of which no image can be made.

    The first layer of a net knows a channel by its number alone. So the channel must hold the same gene in every crop
    (`same_genes`). And all images have one size.
    """
    where = f"patch: backbone {backbone!r}"
    if not same_genes:
        cause = f"channel rule {rule!r} gives each crop its own genes, and an image has the same channels everywhere"
        raise UnitBenchError(where, cause, "set channels to corpus_hvg or moran")
    if tokens != "bound":
        raise UnitBenchError(where, f"an image has no tokens {tokens!r}", "leave tokens out")
    if context == "slide":
        raise UnitBenchError(where, "a whole slide is larger than its images", "set embed to overlap, centre or tiles")


class MaskedImage(MaskedSpots):
    """The spots of a crop as an image, which a backbone from timm reads instead of the trunk's layers.

    An image has `2 m + 1` channels: the centred values of the `m` genes (0 where a value is hidden or a cell is
    empty), `m` marks of the hidden values, and one mark of the empty cells. Spots that share a cell share its pixel: it
    holds the mean of their visible values, and the share of the spots that hide theirs. What is hidden, the head and
    the objective are those of the other units.

    Args:
        gene_mean: mean of each gene over the training slides, `[n_genes]`.
        size: cells along a side; every token's `cell` lies within.
        n_channels: genes of a crop, the same in the same order for every crop.
        backbone: a name in `BACKBONES`.
        masking: as in `MaskedSpots`.
    """

    def __init__(
        self,
        gene_mean: Tensor,
        preset: Preset,
        size: int,
        n_channels: int,
        backbone: str,
        masking: Masking = "mixed",
    ):
        super().__init__(gene_mean, replace(preset, layers=0), masking=masking)  # the trunk keeps its last norm only
        self.size = size
        self.value = self.hidden = None  # the backbone's first layer does their work
        self.backbone = BACKBONES[backbone](preset, size, 2 * n_channels + 1)

    def encode(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """`[b, t, d]`: the backbone's features at each token's pixel. `hidden` bool `[b, t, c]`."""
        (features,) = self.backbone(self.image(batch, hidden))
        sample, cell = self._pixels(batch)
        return self.trunk(features.flatten(2).transpose(1, 2)[sample, cell % self.size**2], batch["valid"])

    def image(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """`[b, 2 m + 1, size, size]`: the values, which are hidden, which cells are empty."""
        hidden = hidden & batch["valid"][..., None]
        x = self.centred(batch)
        b, _, m = x.shape
        parts = torch.cat([x.masked_fill(hidden, 0), hidden.to(x.dtype), x.new_ones(*x.shape[:2], 1)], dim=-1)
        sums = x.new_zeros(b, self.size**2 + 1, 2 * m + 1).index_put(self._pixels(batch), parts, accumulate=True)
        total, n_hidden, n = sums[:, :-1].split([m, m, 1], dim=-1)
        channels = [total / (n - n_hidden).clamp(min=1), n_hidden / n.clamp(min=1), (n == 0).to(x.dtype)]
        return torch.cat(channels, dim=-1).transpose(1, 2).unflatten(2, (self.size, self.size))

    def _pixels(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Sample `[b, 1]` and pixel `[b, t]` of each token. Padding goes to one pixel after the last."""
        cell, valid = batch["cell"], batch["valid"]
        pixel = torch.where(valid, cell[..., 0] * self.size + cell[..., 1], self.size**2)
        return torch.arange(len(valid), device=valid.device)[:, None], pixel
