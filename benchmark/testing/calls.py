"""A fitted method called as the tasks call it, each result held to the contract's shape and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.contracts import offer
from benchmark.data.shown import shown
from benchmark.tasks.holes import blinded
from benchmark.tasks.imputation import without
from benchmark.testing.subject import require

if TYPE_CHECKING:
    from anndata import AnnData


# The built-in task of each function, small.
TASKS: dict[str, dict] = {
    "embed": {"task": "domain"},
    "embed_image": {"task": "label_from_image"},
    "reconstruct": {"task": "reconstruction", "options": {"sizes": [4], "n_genes": 20}},
    "impute": {"task": "imputation", "options": {"n_genes": 20, "folds": 2}},
    "generate": {"task": "generation", "options": {"n_images": 40}},
}
N_SPOTS, N_GENES = 12, 7  # hidden, or drawn


def outputs(method: Any, slide: AnnData) -> dict[str, np.ndarray]:
    """What each function that the method offers returns for a slide.

    Raises:
        Violation: another shape or type than the contract asks, or values that are not finite.
    """
    return {name: call(method, slide) for name, call in OUTPUTS.items() if offer(method, name)}


def _embed(method: Any, slide: AnnData) -> np.ndarray:
    return _checked("embed", method.embed(slide), (slide.n_obs, None))


def _embed_image(method: Any, slide: AnnData) -> np.ndarray:
    return _checked("embed_image", method.embed_image(shown(slide, counts=False)), (slide.n_obs, None))


def _predict_expression(method: Any, slide: AnnData) -> np.ndarray:
    return _checked("predict_expression", method.predict_expression(shown(slide, counts=False)), slide.shape)


def _reconstruct(method: Any, slide: AnnData) -> np.ndarray:
    hidden = np.arange(slide.n_obs) < N_SPOTS
    part = blinded(slide, np.ones(slide.n_obs, dtype=bool), hidden)
    values = np.asarray(method.reconstruct(part, hidden))
    require(values.shape == slide.shape, f"reconstruct gave shape {values.shape}, {slide.shape} is asked")
    return _checked("reconstruct", values[hidden], (N_SPOTS, slide.n_vars))


def _impute(method: Any, slide: AnnData) -> np.ndarray:
    hidden = np.arange(N_GENES)
    return _checked("impute", method.impute(without(slide, hidden), hidden), (slide.n_obs, N_GENES))


def _generate(method: Any, slide: AnnData) -> np.ndarray:
    pixels = offer(method, "view").pixels
    images = np.asarray(method.generate(shown(slide, image=False), np.arange(N_SPOTS), 0))
    require(images.dtype == np.uint8, f"generate gave {images.dtype}, uint8 is asked")
    return _checked("generate", images, (N_SPOTS, pixels, pixels, 3))


def _checked(name: str, values: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    values = np.asarray(values)
    fits = values.ndim == len(shape) and all(
        (asked is None and n > 0) or n == asked for n, asked in zip(values.shape, shape, strict=True)
    )
    asked = ", ".join("d" if n is None else str(n) for n in shape)
    require(fits, f"{name} gave shape {values.shape}, ({asked}) is asked")
    require(np.issubdtype(values.dtype, np.number), f"{name} gave {values.dtype}, numbers are asked")
    require(np.isfinite(values).all(), f"{name} gave values that are not finite")
    return values


OUTPUTS: dict[str, Callable[[Any, AnnData], np.ndarray]] = {
    "embed": _embed,
    "embed_image": _embed_image,
    "reconstruct": _reconstruct,
    "impute": _impute,
    "predict_expression": _predict_expression,
    "generate": _generate,
}
