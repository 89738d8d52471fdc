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
from benchmark.tasks.scaling import check_embedding, scaled

if TYPE_CHECKING:
    import igraph

SETTINGS = {
    "kmeans": "k-means",
    "leiden": "Leiden",
    "leiden_chosen": "Leiden, resolution chosen on training slides",
    "leiden_oracle": "Leiden, resolution chosen by the scored slide's own labels (an oracle)",
}
MOST_DIMENSIONS = 50  # of what the graph is built on
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
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("ari", "ARI"), Metric("nmi", "NMI"))
    key_scores: ClassVar[tuple[KeyScore, ...]] = (KeyScore("ARI k-means", "kmeans", "ari"),)
    settings: ClassVar[Mapping[str, str]] = SETTINGS

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """Each test slide by itself. `train` is used to choose a resolution and whether to standardise only."""
        check_embedding(train.embedding, test.embedding)
        if scale_matters(train.embedding, train.label, seed, train.group):
            both = scaled(train.embedding, test.embedding)
            train, test = (replace(side, embedding=values) for side, values in zip((train, test), both, strict=True))
        chosen = self._choose(train, seed)
        for slide in np.unique(test.slide):
            here = test.slide == slide
            embedding, label = test.embedding[here], test.label[here]
            if reason := undecided(label, self.min_support):
                yield from (NotApplicable(setting, reason, str(slide)) for setting in SETTINGS)
                continue
            graph = neighbour_graph(embedding, self.graph_neighbours)
            swept = {resolution: leiden(graph, resolution, seed, SWEEP_ITERATIONS) for resolution in self.resolutions}
            scores = {
                "kmeans": agreement(label, kmeans(embedding, len(supported(label, self.min_support)), seed)),
                "leiden": agreement(label, leiden(graph, self.resolution, seed)),
                "leiden_oracle": best([agreement(label, cluster) for cluster in swept.values()]),
            }
            if chosen is None:
                reason = f"no training slide has two labels of {self.min_support} spots or more to choose by"
                yield NotApplicable("leiden_chosen", reason, str(slide))
            else:
                scores["leiden_chosen"] = agreement(label, swept[chosen])
            for setting, values in scores.items():
                for metric, value in values.items():
                    yield Measured(setting, metric, value, str(slide), n_test=len(label))

    def _choose(self, train: Spots, seed: int) -> float | None:
        """The resolution with the best mean ARI over a few training slides; None if none of them has two labels."""
        slides = np.unique(train.slide)
        usable = [name for name in slides if not undecided(train.label[train.slide == name], self.min_support)]
        if not usable:
            return None
        aris = np.zeros(len(self.resolutions))
        for name in usable[:MOST_SLIDES]:
            here = train.slide == name
            graph = neighbour_graph(train.embedding[here], self.graph_neighbours)
            clusters = (leiden(graph, resolution, seed, SWEEP_ITERATIONS) for resolution in self.resolutions)
            aris += [agreement(train.label[here], cluster)["ari"] for cluster in clusters]
        return self.resolutions[int(aris.argmax())]


def best(scores: list[dict[str, float]]) -> dict[str, float]:
    """The greatest value of each metric by itself."""
    return {metric: max(values[metric] for values in scores) for metric in scores[0]}


def kmeans(embedding: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster of each spot, int `[n_spots]`: the best of ten starts."""
    from sklearn.cluster import KMeans

    cluster: np.ndarray = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(embedding)
    return cluster


def neighbour_graph(embedding: np.ndarray, k: int) -> igraph.Graph:
    """Each spot is joined to its `k` nearest others in the embedding `[n_spots, d]`, or in its first 50 components."""
    from igraph import Graph
    from sklearn.decomposition import PCA
    from sklearn.neighbors import kneighbors_graph

    n_spots, d = embedding.shape
    if d > MOST_DIMENSIONS:
        embedding = PCA(min(MOST_DIMENSIONS, n_spots), svd_solver="covariance_eigh").fit_transform(embedding)
    joined = kneighbors_graph(embedding, min(k, n_spots - 1)).tocoo()
    return Graph(n_spots, zip(joined.row.tolist(), joined.col.tolist(), strict=True)).simplify()


def leiden(graph: igraph.Graph, resolution: float, seed: int, n_iterations: int = -1) -> np.ndarray:
    """Cluster of each spot, int `[n_spots]`, by modularity; `n_iterations` -1: until nothing changes."""
    import igraph

    # igraph has one random generator for the whole process.
    igraph.set_random_number_generator(random.Random(seed))
    clusters = graph.community_leiden("modularity", resolution=resolution, n_iterations=n_iterations)
    return np.array(clusters.membership)
