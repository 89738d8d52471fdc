"""The training spots that a generator draws on: their images, their expression, and the states of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.data.gene_selection import top_variance
from benchmark.data.normalisation import normalised
from benchmark.data.tiles import View, has_image, no_image, tiles
from methods.generation.pairs import REGULARISATION

if TYPE_CHECKING:
    import anndata as ad
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    from benchmark.data.corpus import Corpus

COMPONENTS = 50
AbsentImage = Literal["error", "declared"]  # what a slide without an image is


@dataclass(frozen=True)
class Atlas:
    """Everything that is taken from the training slides.

    A state is a cluster of spots in the principal components of their expression. The most frequent state is the
    control state. A spot of another slide has the state of the nearest cluster centre, so no label is ever read.

    Attributes:
        images: the tiles of each slide, uint8 `[n_spots_of_slide, p, p, 3]`.
        start: number of each slide's first spot.
        panel: the genes that are read, `[n_genes]`.
        values: log1p of their counts per 10,000, `[n_spots, n_genes]`.
        coordinates: principal components, `[n_spots, d]`.
        state: `[n_spots]`; 0 is the control state.
    """

    images: tuple[np.ndarray, ...]
    start: np.ndarray
    panel: np.ndarray
    values: np.ndarray
    pca: PCA
    clusters: KMeans
    coordinates: np.ndarray
    state: np.ndarray

    @property
    def controls(self) -> np.ndarray:
        """Spots of the control state."""
        return np.flatnonzero(self.state == 0)

    def read(self, slide: ad.AnnData, spots: np.ndarray) -> np.ndarray:
        """The panel's values in some spots of any slide, `[n, n_genes]`."""
        return normalised(slide)[spots][:, self.panel].toarray()

    def locate(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates `[n, d]` and state `[n]` of spots with these values `[n, n_genes]`."""
        coordinates = self.pca.transform(values)
        return coordinates, _by_frequency(self.clusters)[self.clusters.predict(coordinates)]

    def take(self, spots: np.ndarray) -> np.ndarray:
        """Images of training spots, uint8 `[n, p, p, 3]`."""
        slide = np.searchsorted(self.start, spots, side="right") - 1
        images = np.empty((len(spots), *self.images[0].shape[1:]), np.uint8)
        for number in np.unique(slide):
            rows = slide == number
            images[rows] = self.images[number][spots[rows] - self.start[number]]
        return images

    def nearby_controls(self, coordinates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A control spot for each of the coordinates `[n, d]`, drawn by weights as in the transport's kernel; `[n]`."""
        from scipy.spatial.distance import cdist

        cost = cdist(coordinates, self.coordinates[self.controls])
        clock = -cost / (REGULARISATION * np.median(cost)) + rng.gumbel(size=cost.shape)
        return self.controls[clock.argmax(axis=1)]


def make_atlas(corpus: Corpus, view: View, n_genes: int, n_states: int, seed: int) -> Atlas:
    """The atlas of slides that all have an image.

    Raises:
        UnitBenchError: there are fewer than ten spots for each state.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    images = tuple(tiles(corpus, name, view) for name in corpus.names)
    start = np.cumsum([0, *map(len, images[:-1])])
    panel = top_variance(corpus, n_genes)
    values = np.vstack([normalised(slide)[:, panel].toarray() for slide in corpus])
    if len(values) < 10 * n_states:
        raise UnitBenchError("generator", f"{len(values)} spots for {n_states} states", "set fewer n_states")
    pca = PCA(min(COMPONENTS, *values.shape), svd_solver="full").fit(values)
    coordinates = pca.transform(values)
    clusters = KMeans(n_states, n_init=4, random_state=seed).fit(coordinates)
    state = _by_frequency(clusters)[clusters.labels_]
    return Atlas(images, start, panel, values, pca, clusters, coordinates, state)


def with_images(corpus: Corpus, absent_image: AbsentImage) -> Corpus:
    """The slides that have an image.

    Raises:
        UnitBenchError: a slide has no image and `absent_image` is not "declared", or no slide has an image.
    """
    kept = [name for name in corpus.names if has_image(corpus[name])]
    if not kept or (len(kept) < len(corpus) and absent_image != "declared"):
        absent = sorted(set(corpus.names) - set(kept))[0]
        remedy = "set absent_image to declared to leave it out" if kept else "take a dataset with images"
        raise no_image(absent, remedy)
    return corpus.subset(kept)


def _by_frequency(clusters: KMeans) -> np.ndarray:
    """New number of each cluster, `[n_states]`: 0 for the cluster with the most training spots."""
    return np.argsort(np.argsort(-np.bincount(clusters.labels_), kind="stable"), kind="stable")
