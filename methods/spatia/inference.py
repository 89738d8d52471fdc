"""Vectors of all spots of a slide, level by level. Every spot is read once, and higher levels look it up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from methods.spatia.model import Spatia
from methods.spatia.sections import Section
from methods.spatia.unit import pictures, tokens

AT_ONCE = 256  # spots


@torch.inference_mode()
def by_level(model: Spatia, section: Section, rank: np.ndarray) -> dict[str, Tensor]:
    """The vectors of every spot at each level of the design, "cell" first, `[n_spots, d]` each.

    Args:
        rank: rank of each gene, `[n_genes]`. A spot with too many genes shows those of the lowest rank.
    """
    design, device = model.design, next(model.parameters()).device
    read = [model.cells(_cells(model, section, spots, rank, device)) for spots in _chunks(section)]
    cell, expression = (torch.cat(part) for part in zip(*read, strict=True))
    levels, vectors = {"cell": cell}, cell
    if design.niche:
        neighbour = cell if design.niche_image else expression
        niches = []
        for spots in _chunks(section):
            near, offset, valid = (
                torch.as_tensor(array[spots], device=device)
                for array in (section.near, section.offset, section.near_valid)
            )
            pictured = _pictures(section, spots, model, device, niche=True) if design.niche_image else (None, None)
            niches.append(model.niches(neighbour[near], offset, valid, *pictured))
        levels["niche"] = vectors = torch.cat(niches)
    if design.tissue:
        position = torch.as_tensor(section.position, device=device)[None]
        some = np.random.default_rng(0).permutation(section.n_spots)[: model.size.targets]
        valid = torch.ones(1, len(some), dtype=torch.bool, device=device)
        sampled = model.tissue.tokens(vectors[None, some], position[:, some], valid)
        levels["tissue"] = model.tissue(cell[None], position, sampled, valid)[0]
    return levels


@torch.inference_mode()
def image_features(model: Spatia, section: Section) -> Tensor:
    """Mean token of every spot's image, `[n_spots, d]`."""
    device = next(model.parameters()).device
    return torch.cat([model.image(*_pictures(section, spots, model, device)).mean(dim=1) for spots in _chunks(section)])


def _chunks(section: Section) -> Iterator[np.ndarray]:
    """The spots of a section, `AT_ONCE` at a time."""
    for i in range(0, section.n_spots, AT_ONCE):
        yield np.arange(i, min(i + AT_ONCE, section.n_spots))


def _cells(
    model: Spatia, section: Section, spots: np.ndarray, rank: np.ndarray, device: torch.device
) -> dict[str, Tensor]:
    """What `Spatia.cells` reads of some spots."""
    arrays = {}
    if model.design.gene:
        shown = tokens(section.values, spots, model.size.n_tokens, None, rank, None) | {"depth": section.depth[spots]}
        arrays |= {name: torch.as_tensor(array, device=device) for name, array in shown.items()}
    if model.design.image:
        arrays["tile"], arrays["seen"] = _pictures(section, spots, model, device)
    return arrays


def _pictures(
    section: Section, spots: np.ndarray, model: Spatia, device: torch.device, niche: bool = False
) -> tuple[Tensor, Tensor]:
    """Tiles of some spots, or of their niches, and whether there is an image."""
    tile, seen = pictures((section,), spots, model.size, niche)
    return torch.as_tensor(tile, device=device), torch.as_tensor(seen, device=device)
