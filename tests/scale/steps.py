"""What scoring costs at a size: `python -m tests.scale.steps 1000000` prints step, spots, seconds, peak memory.

Each step has a process of its own, and so many made-up spots on either side: embeddings of 64 dimensions, 20 labels in
regions of the tissue, 4 slides to learn from and one to test. The memory is that of the whole process, its data too:
0.5 GB of embeddings at 1,000,000 spots a side. Names of steps after the size choose some of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.contracts import Spots
from benchmark.core.memory import peak_rss

D, N_LABELS, N_DONORS, N_GENES = 64, 20, 4, 300
MAX_GB = 2.0


def position_of(n: int) -> np.ndarray:
    """One cell at random in each square of a grid, float32 `[n, 2]`."""
    side = int(np.ceil(np.sqrt(n)))
    corner = np.stack(np.divmod(np.arange(n), side), axis=1).astype(np.float32)
    return corner + np.random.default_rng(0).random((n, 2), dtype=np.float32)


def label_of(position: np.ndarray) -> np.ndarray:
    """Wavy bands of very uneven width, str `[n]`."""
    depth = position[:, 0] / position[:, 0].max() + 0.02 * np.sin(position[:, 1] / 20)
    edges = np.cumsum(1 / np.arange(1, N_LABELS))
    return np.array([f"region {i}" for i in range(N_LABELS)])[np.digitize(depth, edges / edges[-1] * 0.995)]


def embedding_of(label: np.ndarray, seed: int) -> np.ndarray:
    """The centre of each label, the shift of a donor (the seed), 12 directions of variance, and noise; `[n, 64]`."""
    shared, rng = np.random.default_rng(99), np.random.default_rng(seed)
    centre, turn = (shared.standard_normal(shape, dtype=np.float32) for shape in ((N_LABELS, 12), (12, D)))
    values = rng.standard_normal((len(label), 12), dtype=np.float32)
    values += centre[np.unique(label, return_inverse=True)[1]] + 0.2 * rng.standard_normal(12, dtype=np.float32)
    values = values @ turn
    for start in range(0, len(values), 10_000):
        values[start : start + 10_000] += 0.3 * rng.standard_normal(values[start : start + 10_000].shape, np.float32)
    return values


def side(n: int, seed: int, n_slides: int) -> Spots:
    """`n` spots, dealt out to slides in turn."""
    label = label_of(position_of(n))
    slide = np.array([f"s{seed}{i}" for i in range(n_slides)])[np.arange(n) % n_slides]
    return Spots(embedding_of(label, seed), label, slide, group=slide)


class OneSlide:
    """As much of a corpus as a map uses."""

    def __init__(self, slide: SimpleNamespace):
        self.slide, self.record = slide, {"slides": {"s": {"group": "a", "donor": "a"}}}

    def labelled_by(self, key: str) -> tuple[str, ...]:
        return ("s",)

    def __getitem__(self, name: str) -> SimpleNamespace:
        return self.slide


def data(n: int) -> tuple[Spots, Spots]:
    """The spots to learn from and to test, alone: what the processes of the next steps hold besides."""
    return side(n, 1, N_DONORS), side(n, 2, 1)


def probe(name: str, n: int) -> None:
    """One probe, with all that is chosen for it, and the scores of its predictions."""
    from benchmark.tasks.domain import labels
    from benchmark.tasks.probing import score_probes

    for row in score_probes([name], labels.classification, 10, *data(n), 0):
        if row.metric == "macro_f1":
            print(f"  {row}", file=sys.stderr)


def clustering(n: int) -> None:
    """The whole task: a resolution chosen on 4 training slides, then k-means and Leiden on the test slide."""
    from benchmark.tasks.clustering import Clustering

    for row in Clustering().score(*data(n), 0):
        print(f"  {row}", file=sys.stderr)


def k_means(n: int) -> None:
    """k-means alone."""
    from benchmark.tasks.clustering import kmeans

    kmeans(side(n, 1, 1).embedding, N_LABELS, 0)


def smoothing(n: int) -> None:
    """The mean over 8 neighbours."""
    from benchmark.data.neighbours import neighbour_mean

    neighbour_mean(side(n, 1, 1).embedding, position_of(n), 8)


def autocorrelation(n: int) -> None:
    """Moran's I of 300 genes, of which a spot has 30."""
    from benchmark.data.neighbours import morans_i

    rng, per_spot = np.random.default_rng(0), N_GENES // 10
    gene = rng.integers(0, N_GENES, n * per_spot, dtype=np.int32)
    values = rng.random(len(gene), dtype=np.float32)
    morans_i(sp.csr_matrix((values, gene, np.arange(n + 1) * per_spot), (n, N_GENES)), position_of(n))


def maps(n: int) -> None:
    """The map of one entrant, through its file, on the page and in the picture."""
    from benchmark.core.files import read_parquet
    from benchmark.core.scores import write_table
    from benchmark.experiment.maps import NO_MAP, predicted_map
    from benchmark.report import maps as page
    from benchmark.report.picture import _maps

    position = position_of(n)
    label = label_of(position)
    slide = SimpleNamespace(n_obs=n, obsm={"position": position}, obs=pd.DataFrame({"label": pd.Categorical(label)}))

    noise = np.random.default_rng(0)  # the worst case for the file and the page
    task = SimpleNamespace(requires="embed", key="label", predictions=lambda train, test: noise.permutation(test.label))
    record = {"seen": {"fit": ["s"], "test": ["s"]}, "method": "pca", "amount": 0.0}
    table = predicted_map(OneSlide(slide), task, record, {"s": embedding_of(label, 1)})
    with TemporaryDirectory() as folder:
        path = write_table(Path(folder) / "maps.parquet", table)
        del table
        read = read_parquet(path, NO_MAP.columns)
        ranking = pd.DataFrame({"method": ["pca"], "budget": [0.0], "name": ["pca"], "unit": ["none"]})
        size = len(str(page.slides(read, ranking)))
        print(f"  {path.stat().st_size / 1e6:.1f} MB of file, {size / 1e6:.1f} MB of page", file=sys.stderr)
        from matplotlib.figure import Figure

        figure = Figure()
        _maps(figure, read, ranking)
        figure.savefig(Path(folder) / "map.png")


STEPS: dict[str, Callable[[int], None]] = {
    "data": data,
    "neighbour_mean": smoothing,
    "morans_i": autocorrelation,
    **{name: partial(probe, name) for name in ("majority", "knn", "linear", "mlp")},
    "kmeans": k_means,
    "clustering": clustering,
    "maps": maps,
}


def main(n: int, names: list[str]) -> int:
    """Print the table. Returns 1 where a step took more than `MAX_GB`, else 0."""
    print(f"{'step':<18}{'spots':>12}{'seconds':>10}{'peak, GB':>10}", flush=True)
    most = 0.0
    for name in names or STEPS:
        command = [sys.executable, "-W", "ignore", "-m", "tests.scale.steps", "--one", name, str(n)]
        line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(line, end="", flush=True)
        most = max(most, float(line.split()[-1]))
    print(f"each step is {'within' if most <= MAX_GB else 'NOT within'} {MAX_GB:g} GB")
    return int(most > MAX_GB)


def one(name: str, n: int) -> None:
    """Print the line of a step that is taken in this process."""
    start = time.perf_counter()
    STEPS[name](n)
    print(f"{name:<18}{n:>12,}{time.perf_counter() - start:>10.0f}{peak_rss() / 1e9:>10.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
