"""Image generation: the method draws each spot's tissue from its expression; its images are held to the real ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.tiles import View, cut, has_image, tiles
from benchmark.metrics import images as image_metrics
from benchmark.metrics.expression import pearson
from benchmark.metrics.morphology import FEATURES
from benchmark.metrics.tile_features import Extractor, fit_extractor

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

TILES_TO_FIT = 4000  # of the training slides


@dataclass(frozen=True)
class Generation:
    """Setting "generated": how far the images made for one half of the spots are from the real ones of the other half.

    Two halves, so that no spot is in both sets. "ceiling" is the same for the real images of the first half: what no
    generator can better but by chance. Lower is better, 0 best: kid (unbiased, its interval kid_low to kid_high),
    frechet, and the means over the morphology features of wasserstein (in training standard deviations) and ks, which
    "generated <feature>" and "ceiling <feature>" have one by one.

    A set can be right while each image belongs to another spot. "condition" says whether it does: condition_gain is the
    share by which an image is nearer to its own spot's than to others' (higher is better; about 0: the expression is
    not used; its interval from condition_gain_low), and condition_ignored is 1 where that interval does not lie above
    0. morphology_pearson is the correlation over spots of each feature, made and real, mean over the features.

    Attributes:
        n_images: of a slide, at most.
        dimensions: of the features, at most; the Fréchet distance takes ten times as many images in each half.
        network, weights: a name of timm's and its weights as safetensors; "": colour, texture and morphology.
    """

    n_images: int = 600
    dimensions: int = 16
    network: str = ""
    weights: str = ""

    name: ClassVar[str] = "generation"
    requires: ClassVar[str] = "generate"
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Images from expression"
    order: ClassVar[int] = 80
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("kid", "KID (unbiased)", lower_is_better=True),
        Metric("kid_low", "KID, lower end of its 95% interval", lower_is_better=True, resampled="nothing"),
        Metric("kid_high", "KID, upper end of its 95% interval", lower_is_better=True, resampled="nothing"),
        Metric("frechet", "Fréchet distance", lower_is_better=True),
        Metric(
            "wasserstein",
            "Wasserstein distance of morphology, training standard deviations",
            lower_is_better=True,
        ),
        Metric("ks", "Kolmogorov-Smirnov distance of morphology", lower_is_better=True),
        Metric("condition_gain", "condition gain"),
        Metric("condition_gain_low", "condition gain, lower end of its 95% interval", resampled="nothing"),
        Metric("condition_gain_high", "condition gain, upper end of its 95% interval", resampled="nothing"),
        Metric("condition_ignored", "condition ignored", lower_is_better=True),
        Metric("morphology_pearson", "Pearson of morphology over spots"),
    )
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("KID", "generated", "kid", words="KID: of generated images, the lower the better"),
    )
    settings: ClassVar[Mapping[str, str]] = {
        "generated": "generated against real images",
        "ceiling": "real against other real images",
        "condition": "each image against its own spot",
        "method": "what the method says of itself",
    }

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`real` and `made` features `[n_images, d]`, `real_shape` and `made_shape` morphology `[n_images, 10]`, and
        the `scale` of the latter; nothing for a slide without an image.

        Args:
            corpus: the training slides, to which alone the features are fitted.

        Raises:
            ValueError: what the method returns is not uint8 or has another shape.
        """
        if not has_image(slide):
            return {}
        spots, pixels = self.spots(slide), method.view.pixels
        made = np.asarray(method.generate(unseen(slide), spots, _seed(slide)))
        if made.shape != (len(spots), pixels, pixels, 3) or made.dtype != np.uint8:
            where = f"generate({slide.uns['slide']})"
            raise ValueError(
                f"{where} gave {made.dtype} {made.shape}, expected uint8 {(len(spots), pixels, pixels, 3)}"
            )
        extract = extractor(corpus, method.view, self.dimensions, self.network, self.weights)
        real, real_shape = extract(cut(slide, method.view)[spots])
        made, made_shape = extract(made)
        found = {"real": real, "made": made, "real_shape": real_shape, "made_shape": made_shape}
        found["scale"] = extract.morphology_scale
        diagnostics = offer(method, "diagnostics")
        return found | {f"method {name}": np.array(value) for name, value in diagnostics.items()}

    def score(self, slide: ad.AnnData, predicted: dict[str, np.ndarray]) -> Iterator[Measured | NotApplicable]:
        name, seed = slide.uns["slide"], _seed(slide)
        if not predicted:
            yield NotApplicable("generated", "the slide has no image", name)
            return
        n = len(predicted["real"])
        first, second = np.array_split(np.random.default_rng(seed).permutation(n), 2)
        for setting, kind in (("generated", "made"), ("ceiling", "real")):
            sets = predicted["real"][second], predicted[kind][first]
            shapes = predicted["real_shape"][second], predicted[f"{kind}_shape"][first]
            for part, metric, value in distances(*sets, *shapes, predicted["scale"], seed):
                where = f"{setting} {part}".strip()
                if isinstance(value, str):
                    yield NotApplicable(where, f"{metric}: {value}", name)
                else:
                    yield Measured(where, metric, value, name, n_test=len(first))
        gain = image_metrics.condition_gain(predicted["real"], predicted["made"], seed)
        measured = {
            "condition_gain": gain.value,
            "condition_gain_low": gain.low,
            "condition_gain_high": gain.high,
            "condition_ignored": float(gain.low <= 0),
            "morphology_pearson": _mean_pearson(predicted),
        }
        for metric, value in measured.items():
            yield Measured("condition", metric, value, name, n_test=n)
        for key, value in predicted.items():
            if key.startswith("method "):
                yield Measured("method", key.removeprefix("method "), float(value), name)

    def spots(self, slide: ad.AnnData) -> np.ndarray:
        """The spots whose images are made, the same for every method and seed."""
        return np.sort(np.random.default_rng(_seed(slide)).permutation(slide.n_obs)[: self.n_images])


def distances(
    real: np.ndarray, made: np.ndarray, real_shape: np.ndarray, made_shape: np.ndarray, scale: np.ndarray, seed: int
) -> Iterator[tuple[str, str, float | str]]:
    """(morphology feature or "", metric, value or why there is none) of two sets of images by their features."""
    for metric, value in zip(("kid", "kid_low", "kid_high"), image_metrics.kid(real, made, seed), strict=True):
        yield "", metric, value
    try:
        yield "", "frechet", image_metrics.frechet(real, made)
    except UnitBenchError as error:
        yield "", "frechet", f"{error.cause}, {error.remedy}"
    both = image_metrics.feature_distances(real_shape, made_shape, scale)
    for metric, values in zip(("wasserstein", "ks"), both, strict=True):
        yield "", metric, float(values.mean())
        yield from ((feature, metric, float(value)) for feature, value in zip(FEATURES, values, strict=True))


def unseen(slide: ad.AnnData) -> ad.AnnData:
    """The slide with its counts and positions alone: neither image nor label."""
    from anndata import AnnData

    kept = {key: slide.uns[key] for key in ("slide", "donor", "group", "lattice")}
    obsm = {key: slide.obsm[key] for key in ("position", "lattice")}
    return AnnData(X=slide.X, obs=slide.obs[[]], var=slide.var, obsm=obsm, uns=kept)


@lru_cache(maxsize=4)
def extractor(corpus: Corpus, view: View, dimensions: int, network: str, weights: str) -> Extractor:
    """Fitted to real tiles of the training slides that have an image, up to 4,000 drawn over them all."""
    found = [tiles(corpus, name, view) for name in corpus.names if has_image(corpus[name])]
    if not found:
        raise UnitBenchError("task generation", "no training slide has an image", "take a dataset with images")
    share = min(1.0, TILES_TO_FIT / sum(map(len, found)))
    rng = np.random.default_rng(0)
    drawn = [part[np.sort(rng.permutation(len(part))[: max(1, int(share * len(part)))])] for part in found]
    return fit_extractor(np.concatenate(drawn), dimensions, network, weights)


def _seed(slide: ad.AnnData) -> int:
    return zlib.crc32(str(slide.uns["slide"]).encode())


def _mean_pearson(predicted: dict[str, np.ndarray]) -> float:
    """Correlation over spots of each morphology feature, real and made, mean over the features."""
    real, made = (predicted[name].astype(np.float64) for name in ("real_shape", "made_shape"))
    return float(pearson(real, made).mean())
