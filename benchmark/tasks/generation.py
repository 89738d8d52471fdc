"""Image generation: the method makes an image of each spot from its expression; images are compared with real ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.shown import shown
from benchmark.data.tiles import View, cut, has_image, tiles
from benchmark.metrics.expression import mean_pearson
from benchmark.metrics.images import condition_gain
from benchmark.metrics.tile_distances import distances
from benchmark.metrics.tile_features import Extractor, fit_extractor

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

TILES_TO_FIT = 4000  # of the training slides


@dataclass(frozen=True)
class Generation:
    """Sets of images, and each image with that of its own spot.

    Setting "generated": the distance of the images made for one half of the spots from the real images of the other
    half, so that no spot is in both sets. "ceiling" is the distance of the real images of the two halves: a generator
    gets below it only by chance. Lower is better, and 0 is best: kid (unbiased, with the interval kid_low to kid_high),
    frechet, and wasserstein (in training standard deviations) and ks, which are means over the morphology features.
    "generated <feature>" and "ceiling <feature>" have them feature by feature.

    A set can be right although each image fits another spot. Setting "condition" shows that: condition_gain is how much
    nearer an image is to its own spot's real image than to those of others. Higher is better; about 0 means that the
    expression is not used. condition_ignored is 1 if the interval of the gain does not lie above 0. morphology_pearson
    is the correlation over spots of each morphology feature, made and real, mean over the features.

    Attributes:
        n_images: of a slide, at most.
        dimensions: number of features, at most; the Fréchet distance needs ten times as many images in each half.
        network, weights: a name of timm's and the path of its weights; "": colour, texture and morphology.
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
        """`real` and `made` features `[n_images, d]`, `real_shape` and `made_shape` morphology `[n_images, 10]`.

        Also the `scale` of the morphology `[10]`, and each of the method's diagnostics as "method <name>". Nothing for
        a slide without an image.

        Args:
            corpus: the training slides; the features are fitted to them alone.

        Raises:
            ValueError: what the method returns is not uint8 or has another shape.
        """
        if not has_image(slide):
            return {}
        spots, pixels = self.spots(slide), method.view.pixels
        generated = np.asarray(method.generate(shown(slide, image=False), spots, _seed(slide)))
        if generated.shape != (len(spots), pixels, pixels, 3) or generated.dtype != np.uint8:
            raise ValueError(
                f"generate({slide.uns['slide']}) gave {generated.dtype} {generated.shape}, "
                f"expected uint8 {(len(spots), pixels, pixels, 3)}"
            )
        extract = extractor(corpus, method.view, self.dimensions, self.network, self.weights)
        real, real_shape = extract(cut(slide, method.view)[spots])
        made, made_shape = extract(generated)
        diagnostics = {f"method {name}": np.array(value) for name, value in offer(method, "diagnostics").items()}
        return {
            "real": real,
            "made": made,
            "real_shape": real_shape,
            "made_shape": made_shape,
            "scale": extract.morphology_scale,
            **diagnostics,
        }

    def score(self, slide: ad.AnnData, predicted: Mapping[str, np.ndarray]) -> Iterator[Measured | NotApplicable]:
        """All settings of one slide; "method" has the diagnostics."""
        name, seed = slide.uns["slide"], _seed(slide)
        if not predicted:
            yield NotApplicable("generated", "the slide has no image", name)
            return
        n = len(predicted["real"])
        first, second = np.array_split(np.random.default_rng(seed).permutation(n), 2)
        for setting, kind in (("generated", "made"), ("ceiling", "real")):
            sets = predicted["real"][second], predicted[kind][first]
            shapes = predicted["real_shape"][second], predicted[f"{kind}_shape"][first]
            for feature, metric, distance in distances(*sets, *shapes, predicted["scale"], seed):
                full = f"{setting} {feature}".strip()
                if isinstance(distance, str):
                    yield NotApplicable(full, f"{metric}: {distance}", name)
                else:
                    yield Measured(full, metric, distance, name, n_test=len(first))
        gain = condition_gain(predicted["real"], predicted["made"], seed)
        real_shape, made_shape = (predicted[key].astype(np.float64) for key in ("real_shape", "made_shape"))
        measured = {
            "condition_gain": gain.value,
            "condition_gain_low": gain.low,
            "condition_gain_high": gain.high,
            "condition_ignored": float(gain.low <= 0),
            "morphology_pearson": mean_pearson(real_shape, made_shape),
        }
        for metric, value in measured.items():
            yield Measured("condition", metric, value, name, n_test=n)
        for key, diagnostic in predicted.items():
            if key.startswith("method "):
                yield Measured("method", key.removeprefix("method "), float(diagnostic), name)

    def spots(self, slide: ad.AnnData) -> np.ndarray:
        """Indices of the spots whose images are made, the same for every method and seed, `[n_images]`."""
        return np.sort(np.random.default_rng(_seed(slide)).permutation(slide.n_obs)[: self.n_images])


@lru_cache(maxsize=4)
def extractor(corpus: Corpus, view: View, dimensions: int, network: str, weights: str) -> Extractor:
    """Features fitted to up to 4,000 real tiles, drawn from all training slides that have an image.

    Raises:
        UnitBenchError: no training slide has an image.
    """
    parts = [tiles(corpus, name, view) for name in corpus.names if has_image(corpus[name])]
    if not parts:
        raise UnitBenchError("task generation", "no training slide has an image", "take a dataset with images")
    share = min(1.0, TILES_TO_FIT / sum(map(len, parts)))
    rng = np.random.default_rng(0)
    drawn = [part[np.sort(rng.permutation(len(part))[: max(1, int(share * len(part)))])] for part in parts]
    return fit_extractor(np.concatenate(drawn), dimensions, network, weights)


def _seed(slide: ad.AnnData) -> int:
    """The same for every method and seed."""
    return zlib.crc32(str(slide.uns["slide"]).encode())
