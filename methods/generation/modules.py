"""What is trained: the decoder, with the objective of version 1 (diffusion) or version 2 (flow between weak pairs)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from methods.generation import diffusion, flow
from methods.generation.decoder import Decoder
from methods.generation.morphology import N_SOFT, soft_morphology


def unit_range(images: Tensor) -> Tensor:
    """uint8 `[b, p, p, 3]` → `[b, 3, p, p]` in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(images: Tensor) -> Tensor:
    """The inverse of `unit_range`: `[b, 3, p, p]` → uint8 `[b, p, p, 3]`."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


class Generating(nn.Module):
    """A decoder to train and to sample from. An image takes `passes` passes of the decoder."""

    def __init__(self, decoder: Decoder, passes: int):
        super().__init__()
        self.decoder, self.passes = decoder, passes

    def field(self, values: Tensor, generator: torch.Generator) -> Callable[[Tensor, Tensor], Tensor]:
        """The decoder as a function of image and time. Token merging draws anew at each call."""
        return lambda x, t: self.decoder(x, t, values, self.decoder.draw_pick(generator).to(values.device))


class Diffusion(Generating):
    """Version 1: noise becomes an image."""

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Noise `[b, 3, p, p]`, times `[b]`, draws of token merging `[n_picks]`."""
        image, device = batch["image"], batch["image"].device
        noise = torch.randn(image.permute(0, 3, 1, 2).shape, generator=generator, device=device)
        t = torch.rand(len(image), generator=generator, device=device)
        return noise, t, self.decoder.draw_pick(generator)

    def forward(self, batch: dict[str, Tensor], noise: Tensor, t: Tensor, pick: Tensor) -> Tensor:
        """Mean squared error of v."""
        x, truth = diffusion.noised(unit_range(batch["image"]), noise, t)
        return (self.decoder(x, t, batch["values"], pick) - truth).square().mean()

    def sample(self, values: Tensor, start: Tensor, generator: torch.Generator) -> Tensor:
        """Images `[b, 3, p, p]` in [-1, 1] for expression `[b, n_genes]`, of the shape of `start` `[b, p, p, 3]`."""
        b, p, _, _ = start.shape
        noise = torch.randn((b, 3, p, p), generator=generator).to(values.device)
        return diffusion.sample(self.field(values, generator), noise, self.passes)


class Flow(Generating):
    """Version 2: a control spot's image becomes a target spot's image, under the target's expression.

    Args:
        cut: the stain above which a pixel is nuclear.
        scale: standard deviation of each soft morphology feature, `[7]`.
        contrast: weight of the term by which the right expression must beat a wrong one; 0: no such term.
        morphology: weight of the sliced Wasserstein distance between the morphology of the paths' ends and of the
            targets; 0: no such term.
    """

    def __init__(
        self, decoder: Decoder, passes: int, cut: float, scale: Tensor, contrast: float = 0.0, morphology: float = 0.0
    ):
        super().__init__(decoder, passes)
        self.cut, self.contrast, self.morphology = cut, contrast, morphology
        self.register_buffer("scale", scale)

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Times `[b]`, directions of the sliced distance `[7, 64]`, draws of token merging `[n_picks]`."""
        device = batch["image"].device
        t = torch.rand(len(batch["image"]), generator=generator, device=device)
        directions = torch.randn(N_SOFT, flow.PROJECTIONS, generator=generator, device=device)
        length = directions.square().sum(dim=0).sqrt()
        return t, directions / length, self.decoder.draw_pick(generator)

    def forward(self, batch: dict[str, Tensor], t: Tensor, directions: Tensor, pick: Tensor) -> Tensor:
        """The sum of the loss's terms."""
        return sum(self.terms(batch, t, directions, pick).values())

    def terms(self, batch: dict[str, Tensor], t: Tensor, directions: Tensor, pick: Tensor) -> dict[str, Tensor]:
        """Each term of the loss whose weight is not 0, times its weight."""
        target = unit_range(batch["image"])
        x, truth = flow.on_path(unit_range(batch["control"]), target, t)
        velocity = self.decoder(x, t, batch["values"], pick)
        terms = {"matching": flow.matching(velocity, truth, batch["weight"])}
        if self.contrast:
            wrong = self.decoder(x, t, batch["wrong"], pick)
            terms["contrast"] = self.contrast * flow.contrast(velocity, wrong, truth)
        if self.morphology:
            ends = soft_morphology(flow.endpoint(x, velocity, t).float().clamp(-1, 1), self.cut) / self.scale
            targets = soft_morphology(target, self.cut) / self.scale
            terms["morphology"] = self.morphology * flow.sliced_wasserstein(ends, targets, directions)
        return terms

    def sample(self, values: Tensor, start: Tensor, generator: torch.Generator) -> Tensor:
        """Images `[b, 3, p, p]` in [-1, 1] for expression `[b, n_genes]` from control images `[b, p, p, 3]`."""
        return flow.sample(self.field(values, generator), unit_range(start), self.passes // 2)
