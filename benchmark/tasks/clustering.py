"""Clustering: whether the regions of the labels show as clusters of the embeddings, found without the labels."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveInt

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, Spots
from benchmark.metrics.labels import MIN_SUPPORT, agreement, supported, undecided
from benchmark.tasks.probes import scale_matters
from benchmark.tasks.sampling import MOST_FITTED, SEED, drawn, in_parts, of_all, sampled
from benchmark.tasks.scaling import check_embedding, scaling

if TYPE_CHECKING:
    import igraph

SETTINGS = {
    "kmeans": "k-means",
    "leiden": "Leiden",
    "leiden_chosen": "Leiden, resolution chosen on training slides",
    "leiden_oracle": "Leiden, resolution chosen by the scored slide's own labels (an oracle)",
}
MOST_DIMENSIONS = 50  # of what the graph is built on
MOST_EXACT = 50_000  # spots whose nearest neighbours are found without fail; of more, nearly all of them
MOST_CLUSTERED = 100_000  # spots of a slide that Leiden is given, drawn by chance
MOST_SLIDES = 4  # training slides that a resolution is chosen on
SWEEP_ITERATIONS = 2  # of Leiden at each of `resolutions`: on 3,600 spots of noise, all would take 7 times as long


@dataclass(frozen=True)
class Clustering:
    """Three fair settings, and an oracle.

    - "kmeans" with the slide's number of labels, of those with `min_support` spots. It orders the leaderboard, since it
      gives the same number of clusters for every embedding.
    - "leiden" at one fixed resolution.
    - "leiden_chosen" at the one of `resolutions` whose clusters agree best with the labels of training slides, by ARI.
    - "leiden_oracle": the best ARI and the best NMI over `resolutions`, by the labels of the scored slide itself. The
      literature often reports it, but it cannot be chosen without the labels.

    The graph for Leiden is built on the first 50 principal components if an embedding has more dimensions. Every
    dimension is standardised where the k-NN of the training spots does better so (`probes.scale_matters`).

    On large slides k-means is fitted on a sample, Leiden clusters a sample, and its neighbours are approximate. The
    notes of the rows say so.
    """

    resolution: float = 1.0
    resolutions: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
    graph_neighbours: int = 15
    min_support: PositiveInt = MIN_SUPPORT

    name: ClassVar[str] = "clustering"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Clustering"
    order: ClassVar[int] = 30
    within_slides: ClassVar[bool] = True  # a cluster is of one slide
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("ari", "ARI"), Metric("nmi", "NMI"))
    key_scores: ClassVar[tuple[KeyScore, ...]] = (KeyScore("ARI k-means", "kmeans", "ari"),)
    settings: ClassVar[Mapping[str, str]] = SETTINGS

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """Each test slide by itself. `train` is used to choose a resolution and whether to standardise only."""
        check_embedding(train.embedding, test.embedding)
        if scale_matters(train.embedding, train.label, seed, train.group):
            scale = scaling(sampled(train)[0].embedding)
            train, test = (replace(side, embedding=scale(side.embedding)) for side in (train, test))
        chosen = self._choose(train, seed)
        for slide in np.unique(test.slide):
            here = test.slide == slide
            embedding, label = test.embedding[here], test.label[here]
            if reason := undecided(label, self.min_support):
                yield from (NotApplicable(setting, reason, str(slide)) for setting in SETTINGS)
                continue
            found = agreement(label, kmeans(embedding, len(supported(label, self.min_support)), seed))
            note = of_all(MOST_FITTED, len(label), "fitted on {} spots")
            yield from measured("kmeans", found, str(slide), len(label), note)
            some = drawn(len(label), MOST_CLUSTERED)
            note = of_all(MOST_CLUSTERED, len(label), "clusters of {} spots")
            note += "; approximate neighbours" * (len(some) > MOST_EXACT)
            for setting, found in self._leiden(embedding[some], label[some], chosen, seed).items():
                yield from measured(setting, found, str(slide), len(some), note.removeprefix("; "))
            if chosen is None:
                reason = f"no training slide has two labels of {self.min_support} spots or more to choose by"
                yield NotApplicable("leiden_chosen", reason, str(slide))

    def _leiden(
        self, embedding: np.ndarray, label: np.ndarray, chosen: float | None, seed: int
    ) -> dict[str, dict[str, float]]:
        """The values of each setting of Leiden; of "leiden_chosen" only if a resolution was chosen."""
        graph = neighbour_graph(embedding, self.graph_neighbours)
        swept = [agreement(label, leiden(graph, it, seed, SWEEP_ITERATIONS)) for it in self.resolutions]
        scores = {"leiden": agreement(label, leiden(graph, self.resolution, seed)), "leiden_oracle": best(swept)}
        return scores if chosen is None else scores | {"leiden_chosen": swept[self.resolutions.index(chosen)]}

    def _choose(self, train: Spots, seed: int) -> float | None:
        """The resolution with the best mean ARI over a few training slides; None if none of them has two labels."""
        slides = np.unique(train.slide)
        usable = [name for name in slides if not undecided(train.label[train.slide == name], self.min_support)]
        if not usable:
            return None
        aris = np.zeros(len(self.resolutions))
        for name in usable[:MOST_SLIDES]:
            here = np.flatnonzero(train.slide == name)
            here = here[drawn(len(here), MOST_CLUSTERED)]
            graph = neighbour_graph(train.embedding[here], self.graph_neighbours)
            clusters = (leiden(graph, resolution, seed, SWEEP_ITERATIONS) for resolution in self.resolutions)
            aris += [agreement(train.label[here], cluster)["ari"] for cluster in clusters]
        return self.resolutions[int(aris.argmax())]


def measured(setting: str, values: dict[str, float], slide: str, n_test: int, note: str) -> Iterator[Measured]:
    """A row for each metric."""
    for metric, value in values.items():
        yield Measured(setting, metric, value, slide, n_test=n_test, note=note)


def best(scores: list[dict[str, float]]) -> dict[str, float]:
    """The greatest value of each metric by itself."""
    return {metric: max(values[metric] for values in scores) for metric in scores[0]}


def kmeans(embedding: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster of each spot, int `[n_spots]`: the best of ten starts, on a sample where the spots are very many."""
    from sklearn.cluster import KMeans

    fitted = drawn(len(embedding), MOST_FITTED)
    model = KMeans(n_clusters, n_init=10, random_state=seed).fit(embedding[fitted])
    return model.labels_ if len(fitted) == len(embedding) else in_parts(model.predict, embedding)


def neighbour_graph(embedding: np.ndarray, k: int) -> igraph.Graph:
    """Each spot is joined to its `k` nearest others in the embedding `[n_spots, d]`, or in its first 50 components."""
    from igraph import Graph
    from sklearn.decomposition import PCA

    n_spots, d = embedding.shape
    if d > MOST_DIMENSIONS:
        embedding = PCA(min(MOST_DIMENSIONS, n_spots), svd_solver="covariance_eigh").fit_transform(embedding)
    near = nearest_others(embedding, min(k, n_spots - 1))
    one, other = np.repeat(np.arange(n_spots), near.shape[1]), near.ravel()
    pairs = np.unique((np.minimum(one, other) * n_spots + np.maximum(one, other))[other >= 0])
    return Graph(n_spots, np.column_stack(np.divmod(pairs, n_spots)))


def nearest_others(embedding: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` nearest others of each spot, int64 `[n_spots, k]`.

    Of more than `MOST_EXACT` spots by PyNNDescent (Dong et al. 2011, WWW), which misses some, and has -1 where it found
    too few. It works in one thread, since the order of threads would change what it finds.
    """
    if len(embedding) <= MOST_EXACT:
        from sklearn.neighbors import NearestNeighbors

        near: np.ndarray = NearestNeighbors(n_neighbors=k).fit(embedding).kneighbors(return_distance=False)
        return near
    from pynndescent import NNDescent

    found = NNDescent(embedding, n_neighbors=k + 1, random_state=SEED, n_jobs=1, compressed=False).neighbor_graph[0]
    # A spot is its own nearest, but where others lie on the same place.
    others = found != np.arange(len(found))[:, None]
    others[others.all(axis=1), -1] = False
    return found[others].reshape(-1, k).astype(np.int64)


def leiden(graph: igraph.Graph, resolution: float, seed: int, n_iterations: int = -1) -> np.ndarray:
    """Cluster of each spot, int `[n_spots]`, by modularity; `n_iterations` -1: until nothing changes."""
    import igraph

    # igraph has one random generator for the whole process.
    igraph.set_random_number_generator(random.Random(seed))
    clusters = graph.community_leiden("modularity", resolution=resolution, n_iterations=n_iterations)
    return np.array(clusters.membership)
