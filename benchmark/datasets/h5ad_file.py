"""A `.h5ad` file, opened only if what it declares fits what it holds, and the files of a folder that are slides."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import h5py

from benchmark.core.errors import UnitBenchError
from benchmark.data.names import check_slide_name, check_twins

if TYPE_CHECKING:
    import anndata as ad

MOST_EMPTY = 2**28  # bytes that an array may declare without storing them
BEST_COMPRESSION = 1100  # of zeros by gzip


def slide_files(folder: Path, listed: list[str], where: object) -> dict[str, Path]:
    """The files of the slides, by their path below the folder; a slide is named after its file.

    Without a list, all files `*.h5ad`, in any case, that lie in the folder itself. Hidden files are left out.

    Args:
        where: the description, for messages.

    Raises:
        UnitBenchError: there is none, a listed one has another suffix, or two of them would make slides of one name.
    """
    if not listed:
        listed = sorted(p.name for p in folder.iterdir() if p.suffix.lower() == ".h5ad" and p.name[0] != ".")
    if not listed:
        others = Counter(p.suffix.lower() for p in folder.rglob("*") if p.suffix and not p.name.startswith("."))
        deeper = others.pop(".h5ad", 0)
        found = [f"{n} {suffix}" for suffix, n in others.most_common(3)]
        found += [f"{deeper} .h5ad in its subfolders, which are read if `files` lists them"] if deeper else []
        cause = f"no .h5ad files; it has {', '.join(found) or 'none at all'}"
        raise UnitBenchError(folder, cause, "give .h5ad files, or correct `folder` in the description")
    slides: dict[str, str] = {}
    for path in listed:
        if Path(path).suffix.lower() != ".h5ad":
            raise UnitBenchError(where, f"{path!r} in `files` is no .h5ad file", "convert it to .h5ad with anndata")
        check_slide_name(name := Path(path).stem, folder / path)
        if name in slides:
            raise UnitBenchError(where, f"{slides[name]!r} and {path!r} would both be slide {name!r}", "rename one")
        slides[name] = path
    check_twins(slides, "slide")
    return {path: folder / path for path in listed}


def read_file(path: Path, backed: Literal["r"] | None = None) -> ad.AnnData:
    """The file as it is; `backed`: without its counts.

    Raises:
        UnitBenchError: the file is missing or damaged, or declares far more than it holds.
    """
    from anndata import read_h5ad  # slow to import, and most commands read no slide

    if not path.is_file():
        what = "is no file" if path.exists() else "broken link" if path.is_symlink() else "file not found"
        raise UnitBenchError(path, what, "restore it or correct `files` in the description")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")
        try:
            with h5py.File(path, "r") as file:
                file.visititems(_check_stored)
            return read_h5ad(path, backed=backed)
        except Exception as error:  # anndata and h5py raise errors of many types for a damaged file
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnitBenchError(path, f"cannot be read ({cause})", "replace it") from error


def _check_stored(name: str, item: h5py.Dataset | h5py.Group) -> None:
    """Raises ValueError: to read the array would take memory for values that the file does not have."""
    if isinstance(item, h5py.Dataset):
        size, stored = math.prod(item.shape or ()) * item.dtype.itemsize, item.id.get_storage_size()
        if size > max(MOST_EMPTY, BEST_COMPRESSION * stored):
            shape = " × ".join(f"{side:,}" for side in item.shape)
            raise ValueError(f"{name} declares {shape} values, and the file stores {stored:,} bytes of them")
