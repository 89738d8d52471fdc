"""The method `precomputed`: embeddings that were made elsewhere, read from a folder with one file a slide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import checked

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget

NAMES = "obs_names"
PLAIN = "write it with numpy.savez: numbers, and names as numpy.array(names, dtype=str)"


class Precomputed:
    """Embeddings that were made elsewhere: `<slide>.npz` or `<slide>.h5ad` in a folder. Nothing is trained here.

    An `.npz` holds the array `[n_spots, d]`, and `obs_names` if its rows are in another order than the slide's spots.
    Rows of spots that the slide does not have are left out.

    Args:
        folder: where they are; null: every row is "not applicable".
        key: the name of the array, in obsm for `.h5ad`. An array that is alone in its `.npz` may have any name.
        seen: names of slides, or of whole datasets, that the model was trained on. Their rows say so.
        what: what they are, and under which licence. It is kept in the manifest and with every score.
    """

    unit = "none"
    reference = "embeddings made elsewhere, not compute-matched"
    panels = True  # it looks at no counts

    def __init__(self, folder: str | None = None, key: str = "embedding", seen: tuple[str, ...] = (), what: str = ""):
        self.folder, self.key, self.pretrained_on, self.what = folder and Path(folder), key, seen, what
        self.not_applicable = "" if folder else "no folder of embeddings"

    def check(self, corpus: Corpus) -> None:
        """Read the embeddings of all slides. Raises UnitBenchError: a file is missing, or does not fit its slide."""
        if self.folder:
            for slide in corpus:
                self.embed(slide)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Nothing is learned. Raises UnitBenchError: no folder is given."""
        if not self.folder:
            raise UnitBenchError("precomputed", self.not_applicable, "set folder to one")

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """The rows of the slide's file in the order of its spots, `[n_spots, d]` float32. Raises as `check` does."""
        path = self._file(slide.uns["slide"])
        values, names = (_of_h5ad if path.suffix == ".h5ad" else _of_npz)(path, self.key)
        if names is None and len(values) != slide.n_obs:
            raise UnitBenchError(path, f"has {len(values):,} rows, the slide {slide.n_obs:,} spots", f"add {NAMES}")
        if names is not None and len(values) != len(names):
            raise UnitBenchError(path, f"has {len(values):,} rows and {len(names):,} {NAMES}", "name every row once")
        return values if names is None else values[_rows(path, names, slide.obs_names)]

    def _file(self, slide: str) -> Path:
        """The file of a slide. Raises UnitBenchError: there is none, or there are two."""
        assert self.folder
        paths = [self.folder / f"{slide}{suffix}" for suffix in (".npz", ".h5ad")]
        found = [path for path in paths if path.is_file()]
        if not found:
            remedy = f"write {paths[0].name} or {paths[1].name} there"
            raise UnitBenchError(self.folder, f"no embedding of slide {slide!r}", remedy)
        if len(found) > 1:
            raise UnitBenchError(found[0], f"{found[1].name} stands beside it", "delete one of them")
        return found[0]


def _of_npz(path: Path, key: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The embedding, and the names of its rows if there are any. Pickled objects are not loaded.

    Raises:
        UnitBenchError: a damaged file, no such array, or one that is no embedding.
    """

    def read() -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)

    arrays = checked(read, path, PLAIN)
    names = arrays.pop(NAMES, None)
    if key not in arrays and len(arrays) == 1:
        return _embedding(path, next(iter(arrays.values()))), names
    return _embedding(path, _chosen(path, key, arrays, "array")), names


def _of_h5ad(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """The embedding in obsm, and the names of the spots. The counts are not read. Raises as `_of_npz` does."""
    import anndata as ad

    file = checked(lambda: ad.read_h5ad(path, backed="r"), path, "write it with AnnData.write_h5ad")
    try:
        values = _chosen(path, key, file.obsm, "obsm")
        dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        return _embedding(path, dense), file.obs_names.to_numpy(dtype=str)
    finally:
        file.file.close()


def _chosen(path: Path, key: str, arrays: Any, kind: str) -> Any:
    if key not in arrays:
        known = ", ".join(map(repr, sorted(arrays))) or "nothing"
        raise UnitBenchError(path, f"no {kind} {key!r}, it has {known}", "set key to one of them")
    return arrays[key]


def _embedding(path: Path, values: np.ndarray) -> np.ndarray:
    """The values as float32 `[n, d]`. Raises UnitBenchError: another shape, no numbers, or some are not finite."""
    if values.dtype.kind not in "fiu" or values.ndim != 2 or values.shape[1] == 0:
        cause = f"the embedding is {values.dtype} of shape {values.shape}, numbers [n_spots, d] are asked"
        raise UnitBenchError(path, cause, "write those")
    with np.errstate(over="ignore"):  # a number that float32 cannot hold becomes infinite
        values = values.astype(np.float32)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        cause = f"{bad.sum():,} rows have values that are not finite in float32, the first is row {bad.argmax()}"
        raise UnitBenchError(path, cause, "give every spot finite numbers")
    return values


def _rows(path: Path, names: np.ndarray, spots: pd.Index) -> np.ndarray:
    """The row of each spot, `[n_spots]`. Raises UnitBenchError: a name stands twice, or a spot has no row."""
    index = pd.Index(np.ravel(names).astype(str))
    if index.has_duplicates:
        raise UnitBenchError(path, f"{index[index.duplicated()][0]!r} names two rows", "name every row once")
    rows = index.get_indexer(spots)
    if (lacking := rows < 0).any():
        cause = f"{lacking.sum():,} of {len(spots):,} spots have no row, the first is {spots[lacking][0]!r}"
        raise UnitBenchError(path, cause, "use the names of the spots of the prepared slide")
    return rows
