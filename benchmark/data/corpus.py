"""Prepared slides on disk: one record and one `.h5ad` for each slide, written once, read one slide at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, read_json, sha256, write_atomic, write_json
from benchmark.data.names import check_twins
from benchmark.data.panel import common_genes, warning
from benchmark.data.shown import read_only, shown
from benchmark.data.slide import check_slide, noted

if TYPE_CHECKING:
    import anndata as ad

SLIDES_IN_MEMORY = 64
ENTRY = {"donor", "group", "n_spots", "labels", "sha256"}  # of each slide in the record
BLIND, OWN = "the corpus of a method", "use the slides that it names"


@dataclass(frozen=True)
class Corpus:
    """A read-only view of some slides of a prepared folder. All slides have the same genes in the same order.

    Attributes:
        names: of the slides.
        blind: whether it is one that methods are given, which names no other slide and shows nothing that is scored
            (see `benchmark.data.shown`).
    """

    _folder: Path
    names: tuple[str, ...]
    blind: bool = False

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `write_corpus` wrote: the dataset's own record, `genes`, and under `slides` an entry for each slide.

        That of a blind corpus has `genes` and `slides` alone, without labels.
        """
        record = _read_record(self._folder)
        if not self.blind:
            return record
        slides = {name: {**record["slides"][name]} for name in self.names}
        for entry in slides.values():
            del entry["labels"]
        return {"genes": record["genes"], "slides": slides}

    @property
    def digest(self) -> str:
        """A fingerprint of the data: of all slides of the folder, with their genes and labels."""
        return fingerprint({name: slide["sha256"] for name, slide in self.record["slides"].items()})

    @cached_property
    def genes(self) -> np.ndarray:
        """Gene names, `[n_genes]`."""
        return np.array(self.record["genes"])

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each slide: donor, group, n_spots, labels (a count for each label)."""
        return pd.DataFrame.from_dict(self.record["slides"], orient="index").loc[list(self.names)]

    @property
    def n_spots(self) -> int:
        return int(self.table["n_spots"].sum())

    @property
    def labelled(self) -> tuple[str, ...]:
        """The slides with labels, by the record."""
        return tuple(name for name in self.names if self.record["slides"][name]["labels"])

    def labelled_by(self, key: str) -> tuple[str, ...]:
        """The slides with a value in the column `key` of obs. Any other column than "label" is read from the slides."""
        if key == "label":
            return self.labelled
        return tuple(name for name in self.names if key in self[name].obs and self[name].obs[key].notna().any())

    def subset(self, names: Iterable[str]) -> Corpus:
        """The corpus of these slides.

        Raises:
            UnitBenchError: there is no slide of one of the names.
        """
        names = tuple(names)
        if missing := set(names) - set(self.record["slides"]):
            where, remedy = (BLIND, OWN) if self.blind else (self._folder, "run `unitbench prepare`")
            raise UnitBenchError(where, f"no slide {min(missing)!r}", remedy)
        return replace(self, names=names)

    def for_methods(self, names: Iterable[str]) -> Corpus:
        """The blind corpus of these slides."""
        return replace(self.subset(names), blind=True)

    def kept(self, name: str) -> Path:
        """A file or folder beside the slides, for what is made from them once."""
        return self._folder / name

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> ad.AnnData:
        """The slide `name`: a new AnnData, whose arrays are shared and cannot be written to.

        Raises:
            UnitBenchError: its file is missing, or was altered since it was prepared, or the corpus is blind and the
                slide is not among `names`.
        """
        if self.blind and name not in self.names:
            raise UnitBenchError(BLIND, f"no slide {name!r}", OWN)
        slide = _read(_path(self._folder, name), self.record["slides"][name]["sha256"])
        return shown(slide) if self.blind else read_only(slide)

    def __iter__(self) -> Iterator[ad.AnnData]:
        return (self[name] for name in self.names)


@lru_cache(maxsize=SLIDES_IN_MEMORY)
def _read(path: Path, digest: str) -> ad.AnnData:
    """The slide as it was prepared. Its checksum is verified, so that no result is of an altered slide."""
    if not path.is_file() or sha256(path) != digest:
        what = "altered since it was prepared" if path.is_file() else "file not found"
        raise UnitBenchError(path, what, "run `unitbench prepare` again")
    from anndata import read_h5ad  # slow to import, and most commands read the record alone

    return read_h5ad(path)


def open_corpus(folder: Path) -> Corpus:
    """All slides of a prepared folder."""
    return Corpus(Path(folder), tuple(_read_record(Path(folder))["slides"]))


def _read_record(folder: Path) -> dict[str, Any]:
    """Raises UnitBenchError: no record, or a damaged one."""
    path = folder / "record.json"
    record: dict[str, Any] = read_json(path, dict, {"genes": list, "slides": dict})
    for name, entry in record["slides"].items():
        if not isinstance(entry, dict) or not entry.keys() >= ENTRY:
            raise UnitBenchError(path, f"damaged: slide {name!r} has no whole entry", "delete it and run again")
    return record


def is_whole(folder: Path) -> bool:
    """Whether all slides that the record of a prepared folder names are there. Their values are checked when read."""
    slides = read_json(Path(folder) / "record.json")["slides"]
    return all(_path(Path(folder), name).is_file() for name in slides)


def write_corpus(
    slides: Iterable[ad.AnnData],
    folder: Path,
    record: Mapping[str, Any],
    progress: Callable[[str], None] = lambda line: None,
) -> Corpus:
    """Check all slides, keep the genes that every one of them has, write the slides and then the record.

    The record is written last, so a folder with a record is complete. The common genes are known only after the last
    slide, so each file is written, then read and cut to the common genes. One slide at a time is in memory. All files
    are written to a folder beside `slides`, which takes its place at the end: bad slides leave nothing behind.

    Args:
        record: what the dataset is, as `Dataset.record` gives it.
        progress: called with a line about each slide once it is written, and with warnings.

    Raises:
        UnitBenchError: no slides, two slides of one name, a slide against the schema, or no common gene.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").unlink(missing_ok=True)
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        panels = {name: panel for name, panel in _write_slides(slides, partial, progress)}
        if not panels:
            raise UnitBenchError(folder, "the dataset has no slides", "check its options")
        genes = common_genes(panels)
        if line := warning(panels, genes):
            progress(line)
        entries = {name: _finish(_path(partial, name), genes) | {"n_genes": len(panels[name])} for name in panels}
        for what in ("donor", "group"):
            check_twins((entry[what] for entry in entries.values()), what)
        shutil.rmtree(folder / "slides", ignore_errors=True)
        (partial / "slides").rename(folder / "slides")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    union = set[str]().union(*panels.values())
    write_json(
        folder / "record.json",
        {**record, "genes": list(genes), "n_genes_union": len(union), "slides": entries},
    )
    return open_corpus(folder)


def _write_slides(
    slides: Iterable[ad.AnnData], folder: Path, progress: Callable[[str], None]
) -> Iterator[tuple[str, pd.Index]]:
    """Check and write the slides; the name and the genes of each."""
    names: list[str] = []
    for slide in slides:
        called = " ".join(str(slide.uns.get("slide", "?")).split())  # in one line
        name = check_slide(slide, f"slide {called}").uns["slide"]
        if name in names:
            raise UnitBenchError(f"slide {name}", "two slides have this name", "rename one")
        check_twins([*names, name], "slide")
        for column in slide.obs.select_dtypes("category"):
            slide.obs[column] = slide.obs[column].cat.remove_unused_categories()
        _write(_path(folder, name), slide)
        names.append(name)
        notes = [f"{number:,} {what.replace('_', ' ')}" for what, number in noted(slide).items()]
        if "label" not in slide.obs or slide.obs["label"].isna().all():
            notes.append("no labels")
        progress(f"slide {name}" + (f": {', '.join(notes)}" if notes else ""))
        yield name, slide.var_names


def _path(folder: Path, name: str) -> Path:
    return folder / "slides" / f"{name}.h5ad"


def _write(path: Path, slide: ad.AnnData) -> None:
    """Write a `.h5ad`. It is built in memory first, since HDF5 crashes on a full disk."""
    from anndata.io import write_elem

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        write_elem(file, "/", slide)
        file.flush()
        image = file.id.get_file_image()
    write_atomic(path, lambda temporary: temporary.write_bytes(image))


def _finish(path: Path, genes: pd.Index) -> dict[str, Any]:
    """Cut a written slide to the common genes. Returns its entry of the record."""
    from anndata import read_h5ad

    slide = read_h5ad(path)
    if not slide.var_names.equals(genes):
        slide = slide[:, genes].copy()
        _write(path, slide)
    labels = slide.obs["label"].value_counts() if "label" in slide.obs else {}
    return {
        "donor": slide.uns["donor"],
        "group": slide.uns["group"],
        "n_spots": slide.n_obs,
        "labels": {str(label): int(count) for label, count in dict(labels).items() if count},
        "noted": noted(slide),
        "lattice": {key: _plain(value) for key, value in slide.uns["lattice"].items()},
        "sha256": sha256(path),
    }


def _plain(value: object) -> object:
    """NumPy's scalars and arrays as JSON values."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
