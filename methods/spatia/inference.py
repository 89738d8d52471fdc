"""Vectors of all spots of a slide, level by level: every spot is read once, and then found by its index."""

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
def by_level(model: Spatia, its: Section, rank: np.ndarray) -> dict[str, Tensor]:
    """The vectors of every spot at each level of the design, "cell" first, `[n_spots, d]` each.

    Of more genes than there is room for, the first by `rank` are shown.
    """
    design, device = model.design, next(model.parameters()).device
    read = [model.cells(_cells(model, its, spots, rank, device)) for spots in _chunks(its)]
    cell, expression = (torch.cat(part) for part in zip(*read, strict=True))
    found, vectors = {"cell": cell}, cell
    if design.niche:
        own = cell if design.niche_image else expression
        niches = []
        for spots in _chunks(its):
            near, offset, there = (
                torch.as_tensor(array[spots], device=device) for array in (its.near, its.offset, its.there)
            )
            pictured = _pictures(its, spots, model, device, niche=True) if design.niche_image else (None, None)
            niches.append(model.niches(own[near], offset, there, *pictured))
        found["niche"] = vectors = torch.cat(niches)
    if design.tissue:
        place = torch.as_tensor(its.place, device=device)[None]
        some = np.random.default_rng(0).permutation(its.n_spots)[: model.size.targets]
        there = torch.ones(1, len(some), dtype=torch.bool, device=device)
        section = model.tissue.tokens(vectors[None, some], place[:, some], there)
        found["tissue"] = model.tissue(cell[None], place, section, there)[0]
    return found


@torch.inference_mode()
def image_features(model: Spatia, its: Section) -> Tensor:
    """Mean token of every spot's image, `[n_spots, d]`."""
    device = next(model.parameters()).device
    return torch.cat([model.image(*_pictures(its, spots, model, device)).mean(dim=1) for spots in _chunks(its)])


def _chunks(its: Section) -> Iterator[np.ndarray]:
    for i in range(0, its.n_spots, AT_ONCE):
        yield np.arange(i, min(i + AT_ONCE, its.n_spots))


def _cells(model: Spatia, its: Section, spots: np.ndarray, rank: np.ndarray, device: torch.device) -> dict[str, Tensor]:
    found = {}
    if model.design.gene:
        shown = tokens(its.values, spots, model.size.n_tokens, None, rank, None) | {"depth": its.depth[spots]}
        found |= {name: torch.as_tensor(array, device=device) for name, array in shown.items()}
    if model.design.image:
        found["tile"], found["seen"] = _pictures(its, spots, model, device)
    return found


def _pictures(
    its: Section, spots: np.ndarray, model: Spatia, device: torch.device, niche: bool = False
) -> tuple[Tensor, Tensor]:
    tile, seen = pictures((its,), spots, model.size, niche)
    return torch.as_tensor(tile, device=device), torch.as_tensor(seen, device=device)
