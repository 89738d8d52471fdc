"""A `.h5ad` file or `.zarr` store, whose parts are read when they are asked for, and those that a folder has."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.data.names import check_slide_name, check_twins

KINDS = (".h5ad", ".zarr")
MOST_EMPTY = 2**28  # bytes that an array may declare without storing them
BEST_COMPRESSION = 1100  # of zeros by gzip
BLOCK = 2**26  # bytes of a dense matrix that are read at a time where some of its rows are asked


def slide_files(folder: Path, listed: list[str], where: object) -> dict[str, Path]:
    """The files and stores of the slides, by their path below the folder.

    Without a list, all `*.h5ad` and `*.zarr`, in any case, that lie in the folder itself. Hidden ones are left out.

    Args:
        where: the description, for messages.

    Raises:
        UnitBenchError: there is none, or a listed one has another suffix.
    """
    if not listed:
        listed = sorted(path.name for path in folder.iterdir() if _is_slide(path))
    if not listed:
        others = Counter(p.suffix.lower() for p in folder.rglob("*") if p.suffix and not p.name.startswith("."))
        deeper = sum(others.pop(kind, 0) for kind in KINDS)
        found = [f"{n} {suffix}" for suffix, n in others.most_common(3)]
        found += [f"{deeper} in its subfolders, which are read if `files` lists them"] if deeper else []
        cause = f"no .h5ad or .zarr slides; it has {', '.join(found) or 'none at all'}"
        raise UnitBenchError(folder, cause, "give .h5ad or .zarr slides, or correct `folder` in the description")
    for path in listed:
        if Path(path).suffix.lower() not in KINDS:
            raise UnitBenchError(where, f"{path!r} in `files` is no .h5ad or .zarr", "convert it to .h5ad with anndata")
    return {path: folder / path for path in listed}


def _is_slide(path: Path) -> bool:
    return path.suffix.lower() in KINDS and path.name[0] != "."


def names_of_files(files: dict[str, Path], where: object) -> dict[str, str]:
    """The file of each slide, by the name of the slide: that of its file without suffix.

    Raises:
        UnitBenchError: a name cannot be that of a slide, or two files would make slides of one name.
    """
    slides: dict[str, str] = {}
    for path, file in files.items():
        check_slide_name(name := file.stem, file)
        if name in slides:
            raise UnitBenchError(where, f"{slides[name]!r} and {path!r} would both be slide {name!r}", "rename one")
        slides[name] = path
    check_twins(slides, "slide")
    return slides


def checksum(path: Path, within: Iterable[Path] = ()) -> str:
    """The sha256 of a file. That of a store is of the list that `sha256sum` makes of its files, sorted by path.

    Args:
        within: folders of the store, where no others count.
    """
    if path.is_file():
        return sha256(path)
    found = {file for folder in within or (path,) for file in folder.rglob("*") if file.is_file()}
    files = sorted(file.relative_to(path).as_posix() for file in found)
    return hashlib.sha256("".join(f"{sha256(path / file)}  {file}\n" for file in files).encode()).hexdigest()


def size(parts: Iterable[Path]) -> int:
    """The bytes of files, and of all files of folders."""
    files = {file for part in parts for file in ([part] if part.is_file() else part.rglob("*")) if file.is_file()}
    return sum(file.stat().st_size for file in files)


class AnnDataFile:
    """An open file or store. Every part is read from disk when it is asked for."""

    def __init__(self, path: Path, root: Any):
        self.path, self._root = path, root

    @cached_property
    def obs(self) -> pd.DataFrame:
        """The table of the spots."""
        return self.read("obs")

    def keys(self, group: str) -> list[str]:
        """What a group holds, such as the names of `layers`; empty if there is no such group."""
        return list(self._root[group]) if hasattr(self._root.get(group), "keys") else []

    def read(self, name: str) -> Any:
        """A part, such as `obsm/spatial`. Raises UnitBenchError: it is damaged."""
        from anndata.io import read_elem

        return _checked(self.path, lambda: read_elem(self._root[name]))

    def read_rows(self, name: str, rows: np.ndarray) -> Any:
        """Some rows of a matrix `[n_spots, n]`; of one that is dense or CSR, no others are kept in memory.

        Args:
            rows: which, bool `[n_spots]`.

        Raises:
            UnitBenchError: it is damaged.
        """
        part = self._root[name]
        if rows.all():
            return self.read(name)
        if hasattr(part, "shape"):
            return _checked(self.path, lambda: _dense_rows(part, rows))
        return _checked(self.path, lambda: _sparse_rows(part, rows))

    def __contains__(self, name: str) -> bool:
        return name in self._root


def _dense_rows(part: Any, rows: np.ndarray) -> np.ndarray:
    """Rows of an array on disk, read block by block."""
    step = max(1, BLOCK // max(1, part.dtype.itemsize * math.prod(part.shape[1:])))
    starts = [start for start in range(0, len(rows), step) if rows[start : start + step].any()] or [0]
    return np.concatenate([part[start : start + step][rows[start : start + step]] for start in starts])


def _sparse_rows(part: Any, rows: np.ndarray) -> sp.spmatrix:
    """Rows of a sparse matrix on disk."""
    from anndata.io import sparse_dataset

    ends = part["indptr"][:]
    if (np.diff(ends) < 0).any() or ends[0] != 0 or ends[-1] != part["indices"].shape[0]:  # its rows would overlap
        raise ValueError("the sparse counts are damaged: indptr does not fit indices")
    return sparse_dataset(part)[rows]


@contextmanager
def opened(path: Path) -> Iterator[AnnDataFile]:
    """The file or store, if it is whole and what it declares fits what it holds.

    Raises:
        UnitBenchError: it is missing or damaged, declares far more than it holds, or is no AnnData.
    """
    is_store = path.suffix.lower() != ".h5ad"  # a table inside a store has no suffix
    if not (path.is_dir() if is_store else path.is_file()):
        kind = "folder" if is_store else "file"
        what = f"is no {kind}" if path.exists() else "broken link" if path.is_symlink() else "file not found"
        raise UnitBenchError(path, what, "restore it or correct `files` in the description")
    root = _checked(path, lambda: _store(path) if is_store else h5py.File(path, "r"))
    try:
        if not is_store:
            _checked(path, lambda: root.visititems(_check_stored))
        _check_anndata(path, root)
        yield AnnDataFile(path, root)
    finally:
        if not is_store:
            root.close()


def _store(path: Path) -> Any:
    import zarr  # slow to import

    root = zarr.open_group(path, mode="r")
    for name, item in root.members(max_depth=None):
        if isinstance(item, zarr.Array):
            _check_size(name, item.shape, item.dtype.itemsize, item.nbytes_stored())
    return root


def _check_anndata(path: Path, root: Any) -> None:
    if missing := [name for name in ("obs", "var") if name not in root]:
        remedy = "read it with the dataset `spatialdata`" if "tables" in root else "write it with anndata"
        raise UnitBenchError(path, f"no AnnData: it has {', '.join(root) or 'nothing'}, and no {missing[0]}", remedy)
    if "encoding-type" not in root["obs"].attrs:
        raise UnitBenchError(path, "written by anndata before 0.7", "read it with anndata, and write it again")


def _check_stored(name: str, item: h5py.Dataset | h5py.Group) -> None:
    if isinstance(item, h5py.Dataset):
        _check_size(name, item.shape or (), item.dtype.itemsize, item.id.get_storage_size())


def _check_size(name: str, shape: tuple[int, ...], itemsize: int, stored: int) -> None:
    """Raises ValueError: to read the array would take memory for values that the file does not have."""
    if math.prod(shape) * itemsize > max(MOST_EMPTY, BEST_COMPRESSION * stored):
        declared = " × ".join(f"{side:,}" for side in shape)
        raise ValueError(f"{name} declares {declared} values, and the file stores {stored:,} bytes of them")


def _checked(path: Path, read: Any) -> Any:
    """What `read` gives. anndata, h5py and zarr raise errors of many types for a damaged file."""
    try:
        return read()
    except Exception as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnitBenchError(path, f"cannot be read ({cause})", "replace it") from error
