"""Prepared slides on disk: written once by `benchmark.data.prepare`, read one slide at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, read_array, read_json
from benchmark.data import stored
from benchmark.data.pages import give_back
from benchmark.data.patches import in_patches
from benchmark.data.shown import read_only, shown

if TYPE_CHECKING:
    import anndata as ad

SLIDES_IN_MEMORY = 64
LARGE = 100_000  # spots; a larger slide is laid along a curve, so that the spots of a crop lie together
KEPT = 20_000  # spots; a larger slide is opened anew each time, since the names of its spots take memory
ENTRY = {"donor", "group", "n_spots", "labels", "panel", "role", "dataset", "sha256"}  # of each slide in the record
PANELS = "panels.npy"
BLIND, OWN = "the corpus of a method", "use the slides that it names"


@dataclass(frozen=True)
class Corpus:
    """A read-only view of some slides of a prepared folder.

    Every slide has the genes of the corpus, in one order: the union of what all slides have measured. var["measured"]
    says which of them the slide itself has; of the others it has no counts, which says nothing.

    Attributes:
        names: of the slides.
        blind: whether it is one that methods are given, which names no other slide and shows nothing that is scored
            (see `benchmark.data.shown`).
        narrowed: whether it shows only counts of the genes that all its slides have measured.
        supervised: whether it shows labels all the same.
        share: of the spots of each slide that are shown, in patches; see `benchmark.data.patches`.
    """

    _folder: Path
    names: tuple[str, ...]
    blind: bool = False
    narrowed: bool = False
    supervised: bool = False
    share: float = 1.0

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
        """A fingerprint of the data: of these slides, with their counts, genes and labels."""
        return fingerprint({name: self.record["slides"][name]["sha256"] for name in self.names})

    @property
    def evaluated(self) -> Corpus:
        """Those of the slides that are there to be scored, and not to be pretrained on alone."""
        return self.subset(name for name in self.names if self.record["slides"][name]["role"] != "pretrain")

    def by_dataset(self) -> dict[str, Corpus]:
        """The slides of each dataset, by its own name."""
        names: dict[str, list[str]] = {}
        for name in self.names:
            names.setdefault(self.record["slides"][name]["dataset"], []).append(name)
        return {dataset: self.subset(slides) for dataset, slides in names.items()}

    @cached_property
    def genes(self) -> np.ndarray:
        """Gene names, `[n_genes]`."""
        return np.array(self.record["genes"])

    def measured(self, name: str) -> np.ndarray:
        """Which genes a slide has measured, bool `[n_genes]`."""
        return _read_panels(self._folder)[self.record["slides"][name]["panel"]]

    @cached_property
    def common(self) -> np.ndarray:
        """Which genes all slides have measured, bool `[n_genes]`."""
        panels = {self.record["slides"][name]["panel"] for name in self.names}
        return _read_panels(self._folder)[sorted(panels)].all(axis=0)

    @cached_property
    def anywhere(self) -> np.ndarray:
        """Which genes any slide has measured, bool `[n_genes]`."""
        panels = {self.record["slides"][name]["panel"] for name in self.names}
        return _read_panels(self._folder)[sorted(panels)].any(axis=0)

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

    def for_methods(self, names: Iterable[str], panels: bool = True, labels: bool = False) -> Corpus:
        """The blind corpus of these slides.

        Args:
            panels: whether the method takes slides that have measured different genes.
            labels: whether the slides have obs["label"], for a reference that is supervised.
        """
        return replace(self.subset(names), blind=True, narrowed=not panels, supervised=labels)

    def thinned(self, most: int) -> Corpus:
        """A corpus of `most` spots, or hardly more: patches of each slide. One that has no more spots stays as it is.

        `table` and `n_spots` still count all spots.
        """
        return self if self.n_spots <= most else replace(self, share=most / self.n_spots)

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
        entry = self.record["slides"][name]
        read = _read if entry["n_spots"] <= KEPT else _read.__wrapped__
        slide = read(self._folder, name, entry["sha256"])
        if self.share < 1:
            slide = slide[in_patches(slide.obsm["position"], self.share)].copy()
            give_back()
        if not self.blind:
            return read_only(slide)
        return shown(slide, genes=self.common if self.narrowed else None, labels=self.supervised)

    def __iter__(self) -> Iterator[ad.AnnData]:
        return (self[name] for name in self.names)


@lru_cache(maxsize=SLIDES_IN_MEMORY)
def _read(folder: Path, name: str, digest: str) -> ad.AnnData:
    """The slide as it was prepared. Its checksum is verified, so that no result is of an altered slide."""
    record = _read_record(folder)
    stored.check(folder, name, digest)
    return stored.read(folder, name, pd.Index(record["genes"]), _read_panels(folder)[record["slides"][name]["panel"]])


def _read_panels(folder: Path) -> np.ndarray:
    """The different panels of the slides: which genes each has measured, bool `[n_panels, n_genes]`."""
    return read_array(folder / PANELS)


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
    files = [path for name in slides for path in stored.paths(Path(folder), name)]
    return all(path.is_file() for path in (Path(folder) / PANELS, *files))
