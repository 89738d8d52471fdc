"""Clustering: do the labels' regions show in the embeddings of one slide, without a look at any label?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.tasks import Measured, NotApplicable, Spots


@dataclass(frozen=True)
class Clustering:
    """Two settings: k-means, told the slide's number of labels, and Leiden at one fixed resolution.

    K-means orders the leaderboard: it finds the same number of clusters in every embedding.
    """

    resolution: float = 1.0
    graph_neighbours: int = 15

    name: ClassVar[str] = "clustering"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[str, ...]] = ("donor",)
    primary: ClassVar[tuple[str, str]] = ("kmeans", "ari")
    higher_is_better: ClassVar[bool] = True

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """Each test slide by itself; `train` is not looked at."""
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        for slide in np.unique(test.slide):
            here = test.slide == slide
            embedding, label = test.embedding[here], test.label[here]
            n_labels = len(np.unique(label))
            if n_labels < 2:
                for setting in ("kmeans", "leiden"):
                    yield NotApplicable(setting, "all labelled spots of the slide have one label", str(slide))
                continue
            found = {
                "kmeans": kmeans(embedding, n_labels, seed),
                "leiden": leiden(embedding, self.graph_neighbours, self.resolution, seed),
            }
            for setting, cluster in found.items():
                ari = adjusted_rand_score(label, cluster)
                nmi = normalized_mutual_info_score(label, cluster)
                yield Measured(setting, "ari", float(ari), str(slide), n_test=len(label))
                yield Measured(setting, "nmi", float(nmi), str(slide), n_test=len(label))


def kmeans(embedding: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster of each spot, `[n_spots]`: the best of ten starts."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(embedding)


def leiden(embedding: np.ndarray, k: int, resolution: float, seed: int) -> np.ndarray:
    """Cluster of each spot, `[n_spots]`: modularity on the graph of each one's `k` nearest in the embedding."""
    import igraph
    from sklearn.neighbors import kneighbors_graph

    n_spots = len(embedding)
    joined = kneighbors_graph(embedding, min(k, n_spots - 1)).tocoo()
    graph = igraph.Graph(n_spots, zip(joined.row.tolist(), joined.col.tolist(), strict=True)).simplify()
    # igraph draws from one generator for the whole process.
    igraph.set_random_number_generator(random.Random(seed))
    found = graph.community_leiden("modularity", resolution=resolution, n_iterations=-1)
    return np.array(found.membership)
