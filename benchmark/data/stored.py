"""A prepared slide on disk: its large arrays in one file that is memory-mapped, all else in a `.h5ad` beside it.

`<slide>.safetensors` (the format of huggingface/safetensors) holds the counts as CSR rows, `indptr` int64
`[n_spots + 1]`, `indices` int32 and `data` float32, and `position` and `lattice` of obsm. `<slide>.h5ad` is the rest of
the AnnData. Genes are indices of the genes of the corpus.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, sha256, write_atomic
from benchmark.data.pages import mapped

if TYPE_CHECKING:
    import anndata as ad

SPOTS_AT_ONCE = 50_000  # are written together
TYPES = {"F32": np.float32, "I32": np.int32, "I64": np.int64}
AGAIN = "run `unitbench prepare` again"


def paths(folder: Path, name: str) -> tuple[Path, Path]:
    """The two files of a slide: of its arrays, and of the rest."""
    return folder / "slides" / f"{name}.safetensors", folder / "slides" / f"{name}.h5ad"


def write(folder: Path, name: str, slide: ad.AnnData, order: np.ndarray | None = None) -> None:
    """Write both files of a slide. The genes are its own, until `renumber` is called.

    Args:
        order: of the spots, `[n_spots]`; None: as they are.

    Raises:
        WriteError: the disk is full, say.
    """
    from anndata import AnnData

    order = np.arange(slide.n_obs) if order is None else order
    path, rest = paths(folder, name)
    counts = slide.X
    indptr = np.concatenate([[0], np.cumsum(np.diff(counts.indptr)[order], dtype=np.int64)])

    def rows(part: str) -> Iterator[np.ndarray]:
        for first in range(0, len(order), SPOTS_AT_ONCE):
            yield getattr(counts[order[first : first + SPOTS_AT_ONCE]], part)

    lattice, position = (slide.obsm[key][order] for key in ("lattice", "position"))
    write_arrays(
        path,
        {
            "indptr": (np.int64, indptr.shape, [indptr]),
            "data": (np.float32, (int(indptr[-1]),), rows("data")),
            "indices": (np.int32, (int(indptr[-1]),), rows("indices")),
            "position": (np.float32, position.shape, [position]),
            "lattice": (np.int32, lattice.shape, [lattice]),
        },
    )
    kept = {key: value[order] for key, value in slide.obsm.items() if key not in ("position", "lattice")}
    _write_h5ad(rest, AnnData(obs=slide.obs.iloc[order], obsm=kept, uns=dict(slide.uns)))


def write_arrays(path: Path, arrays: Mapping[str, tuple[type, tuple[int, ...], Iterable[np.ndarray]]]) -> None:
    """Write arrays as safetensors: the type, the shape and the parts of each. Raises WriteError."""
    names = {kind: name for name, kind in TYPES.items()}
    about: dict[str, dict[str, Any]] = {}
    end = 0
    for name, (kind, shape, _) in arrays.items():
        first, end = end, end + math.prod(shape) * np.dtype(kind).itemsize
        about[name] = {"dtype": names[kind], "shape": shape, "data_offsets": [first, end]}
    header = json.dumps(about).encode()
    header += b" " * (-len(header) % 8)

    def store(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for kind, _, parts in arrays.values():
                for part in parts:
                    file.write(np.ascontiguousarray(part, dtype=kind).data)

    write_atomic(path, store)


def renumber(folder: Path, name: str, gene: np.ndarray) -> None:
    """Give the counts of a slide the genes of the corpus.

    Args:
        gene: the index in the corpus of each gene that the slide has, int `[n_panel]`.
    """
    if np.array_equal(gene, np.arange(len(gene))):
        return
    arrays = read_arrays(paths(folder, name)[0], "r+")
    rises, indptr = bool((np.diff(gene) > 0).all()), arrays["indptr"]
    for first in range(0, len(indptr) - 1, SPOTS_AT_ONCE):
        ends = indptr[first : first + SPOTS_AT_ONCE + 1]
        part = slice(ends[0], ends[-1])
        indices = gene[arrays["indices"][part]]
        if not rises:
            row = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
            order = np.lexsort((indices, row))
            indices, arrays["data"][part] = indices[order], arrays["data"][part][order]
        arrays["indices"][part] = indices


def read_arrays(path: Path, mode: Literal["r", "r+"] = "r") -> dict[str, np.ndarray]:
    """The arrays of such a file, memory-mapped; "r": read-only."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        about = json.loads(file.read(length))
    whole = mapped(path, mode)
    arrays = {}
    for name, entry in about.items():
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        arrays[name] = whole[first:last].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _write_h5ad(path: Path, slide: ad.AnnData) -> None:
    """Write a `.h5ad`. It is built in memory first, since HDF5 crashes on a full disk."""
    from anndata.io import write_elem

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        write_elem(file, "/", slide)
        file.flush()
        image = file.id.get_file_image()
    write_atomic(path, lambda temporary: temporary.write_bytes(image))


def digests(folder: Path, name: str) -> list[str]:
    """The sha256 of both files.

    Raises:
        UnitBenchError: one of them is missing.
    """
    for path in paths(folder, name):
        if not path.is_file():
            raise UnitBenchError(path, "file not found", AGAIN)
    return [sha256(path) for path in paths(folder, name)]


def check(folder: Path, name: str, digest: str) -> None:
    """Raises UnitBenchError: a file is missing, or was altered since it was prepared."""
    if fingerprint(digests(folder, name)) != digest:
        raise UnitBenchError(paths(folder, name)[1], "altered since it was prepared", AGAIN)


def read(folder: Path, name: str, genes: pd.Index, measured: np.ndarray) -> ad.AnnData:
    """The slide. Its large arrays stay on disk until they are used.

    Args:
        genes: of the corpus, `[n_genes]`.
        measured: which of them the slide has measured, bool `[n_genes]`.
    """
    from anndata import AnnData, read_h5ad  # slow to import, and most commands read the record alone

    arrays, rest = read_arrays(paths(folder, name)[0]), read_h5ad(paths(folder, name)[1])
    return AnnData(
        X=matrix(arrays, len(genes)),
        obs=rest.obs,
        var=pd.DataFrame({"measured": measured}, index=genes),
        obsm={"position": arrays["position"], "lattice": arrays["lattice"], **rest.obsm},
        uns=rest.uns,
    )


def matrix(arrays: Mapping[str, np.ndarray], n_genes: int) -> sp.csr_matrix:
    """The counts, CSR `[n_spots, n_genes]`, on the arrays themselves."""
    indptr = arrays["indptr"]
    counts = sp.csr_matrix((len(indptr) - 1, n_genes), dtype=np.float32)
    counts.indptr = indptr if indptr[-1] > np.iinfo(np.int32).max else indptr.astype(np.int32)
    counts.indices, counts.data = arrays["indices"], arrays["data"]
    counts.has_sorted_indices = counts.has_canonical_format = True
    return counts
