"""The image of a spot: a vision transformer from timm, and the masked autoencoding of He et al. (2022, CVPR)."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import timm
import torch
from torch import Tensor, nn

from benchmark.core.errors import UnitBenchError
from benchmark.model.trunk import Trunk, sincos

HIDDEN = 0.75  # share of the patches
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as pretrained weights expect


class ImageEncoder(nn.Module):
    """The patches of a tile as tokens, after the class token.

    A spot without an image has one learned vector (`absent`) as each of its tokens, never a blank tile.
    """

    def __init__(self, pixels: int, patch: int, d: int, layers: int, heads: int, absent: bool):
        super().__init__()
        self.vit = timm.create_model(
            "vit_tiny_patch16_224",
            img_size=pixels,
            patch_size=patch,
            embed_dim=d,
            depth=layers,
            num_heads=heads,
            num_classes=0,
        )
        # timm starts the positions near zero, and then the net learns them far more slowly.
        self.vit.pos_embed.data[:, 1:] = sincos(patch_positions(pixels // patch), d)
        self.absent = nn.Parameter(torch.randn(d) * 0.02) if absent else None
        self.patch = patch

    def forward(self, tile: Tensor, seen: Tensor, kept: Tensor | None = None) -> Tensor:
        """`[n, 1 + patches, d]`.

        Args:
            tile: uint8 `[n, p, p, 3]`.
            seen: whether a spot has an image, bool `[n]`.
            kept: the patches that are read, `[n, m]`; None: all.
        """
        pixels = standardised(tile).to(self.vit.pos_embed.dtype).permute(0, 3, 1, 2)
        tokens = self.vit.patch_embed(pixels) + self.vit.pos_embed[:, 1:]
        if kept is not None:
            tokens = chosen(tokens, kept)
        first = (self.vit.cls_token + self.vit.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = self.vit.norm(self.vit.blocks(torch.cat([first, tokens], dim=1)))
        return tokens if self.absent is None else torch.where(seen[:, None, None], tokens, self.absent)

    def load(self, path: Path) -> None:
        """Load the weights of a vision transformer under timm's names: every tensor, and no other.

        Raises:
            UnitBenchError: there is no such file, or it holds no weights, or weights of another net.
        """
        weights, known = read_weights(path), self.vit.state_dict()
        wrong = {name for name in weights.keys() & known.keys() if weights[name].shape != known[name].shape}
        for what, names in (
            ("lack", known.keys() - weights.keys()),
            ("have beside the net's", weights.keys() - known.keys()),
            ("have another shape of", wrong),
        ):
            if names:
                cause = f"the weights {what} {len(names)} tensor(s), the first {min(names)}"
                raise UnitBenchError(path, cause, "give weights of a net of this preset's size, named as timm does")
        self.vit.load_state_dict(weights)


class PatchDecoder(nn.Module):
    """One light layer that paints the hidden patches from the tokens of the others."""

    def __init__(self, pixels: int, patch: int, d: int, heads: int):
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(d) * 0.02)
        self.register_buffer("position", sincos(patch_positions(pixels // patch), d), persistent=False)
        self.trunk = Trunk(d, heads, 1)
        self.head = nn.Linear(d, patch * patch * 3)
        self.patch = patch

    def loss(self, tokens: Tensor, order: Tensor, tile: Tensor, seen: Tensor) -> Tensor:
        """Mean squared error over the standardised pixels of hidden patches, of the spots that have an image.

        Args:
            tokens: the class token and the first patches of `order`, `[n, 1 + m, d]`.
            order: all patches, the kept ones first, `[n, patches]`.
            tile: uint8 `[n, p, p, 3]`.
            seen: whether a spot has an image, bool `[n]`.
        """
        n, patches = order.shape
        m = tokens.shape[1] - 1
        hidden = self.hidden.to(tokens.dtype).expand(n, patches - m, -1)
        in_order = chosen(torch.cat([tokens[:, 1:], hidden], dim=1), order.argsort(dim=1)) + self.position
        valid = torch.ones(n, 1 + patches, dtype=torch.bool, device=order.device)
        painted = self.head(self.trunk(torch.cat([tokens[:, :1], in_order], dim=1), valid)[:, 1:])
        truth = patches_of(standardised(tile), self.patch)
        error = (chosen(painted, order[:, m:]).float() - chosen(truth, order[:, m:])).square().mean(dim=(1, 2))
        return (error * seen).sum() / seen.sum().clamp(min=1)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from a safetensors file or from a file of torch that holds nothing else.

    Raises:
        UnitBenchError: the file cannot be read, or holds anything but tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        safe = Path(path).suffix == ".safetensors"
        weights = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError, ValueError, SafetensorError) as error:
        raise UnitBenchError(path, f"no weights ({str(error).splitlines()[0]})", "give safetensors") from None
    if not (isinstance(weights, dict) and all(isinstance(value, Tensor) for value in weights.values())):
        raise UnitBenchError(path, "holds more than named tensors", "save the net's state_dict() alone")
    return weights


def patch_positions(side: int) -> Tensor:
    """(y, x) of the patches from the middle of their tile, `[1, side * side, 2]`."""
    return torch.cartesian_prod(*2 * [torch.arange(side) - (side - 1) / 2])[None]


def standardised(tile: Tensor) -> Tensor:
    """Pixels as the net reads them, float32, of the shape of `tile`."""
    return (tile.float() / 255 - tile.new_tensor(MEAN, dtype=torch.float32)) / tile.new_tensor(
        SPREAD, dtype=torch.float32
    )


def patches_of(pixels: Tensor, patch: int) -> Tensor:
    """`[n, p, p, 3]` → `[n, patches, patch * patch * 3]`, row by row."""
    n, side = len(pixels), pixels.shape[1] // patch
    cut = pixels.reshape(n, side, patch, side, patch, 3)
    return cut.transpose(2, 3).reshape(n, side * side, -1)


def chosen(tokens: Tensor, index: Tensor) -> Tensor:
    """`tokens` `[n, t, d]` at the `index` `[n, m]` of each row: `[n, m, d]`."""
    return tokens[torch.arange(len(index), device=index.device)[:, None], index]
