"""Write the corpus: check every slide, lay it out on disk with the genes of all slides, and record what it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.core.contracts import Dataset, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, write_atomic, write_json
from benchmark.data import stored
from benchmark.data.corpus import LARGE, PANELS, Corpus, open_corpus
from benchmark.data.names import check_twins
from benchmark.data.panel import union, warning
from benchmark.data.slide import check_slide, noted

if TYPE_CHECKING:
    import anndata as ad

Progress = Callable[[str], None]


def silent(line: str) -> None:
    """No progress."""


def prepare(dataset: Dataset, folder: Path, progress: Progress = silent) -> Corpus:
    """The corpus of a dataset. Slides that the dataset gives one by one are read in several processes.

    Raises:
        UnitBenchError: as `write_corpus` does, and whatever the dataset raises.
    """
    record, one = dataset.record(), offer(dataset, "slide")
    if one is None:
        return write_corpus(dataset.slides(), folder, record, progress)
    return write_corpus({name: partial(one, name) for name in record["donors"]}, folder, record, progress)


def write_corpus(
    slides: Iterable[ad.AnnData] | Mapping[str, Callable[[], ad.AnnData]],
    folder: Path,
    record: Mapping[str, Any],
    progress: Progress = silent,
) -> Corpus:
    """Check all slides and write them, then the genes of the corpus, and last the record.

    A folder with a record is complete. The genes are known only after the last slide, so each slide is written with its
    own genes, and these are renumbered. One slide at a time is in the memory of a process. All files are written to a
    folder beside `slides`, which takes its place at the end: bad slides leave nothing behind.

    Args:
        slides: themselves, or a function that reads each: then every core of this machine reads some.
        record: what the dataset is, as `Dataset.record` gives it.
        progress: called with a line about each slide once it is written, and with warnings.

    Raises:
        UnitBenchError: no slides, two slides of one name, a slide against the schema, or one that shares no genes with
            the others.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").unlink(missing_ok=True)
    unfinished = folder / ".partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        entries, panels = _write_slides(slides, unfinished, progress)
        if not panels:
            raise UnitBenchError(folder, "the dataset has no slides", "check its options")
        genes = union(panels)
        if line := warning(panels):
            progress(line)
        different = _renumber(unfinished, entries, panels, genes)
        for what in ("donor", "group"):
            check_twins((entry[what] for entry in entries.values()), what)
        shutil.rmtree(folder / "slides", ignore_errors=True)
        (unfinished / "slides").rename(folder / "slides")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for name, entry in entries.items():
        entry["role"] = record.get("roles", {}).get(name, "both")
        entry["dataset"] = record.get("sets", {}).get(name, record.get("name", ""))
    write_atomic(folder / PANELS, lambda temporary: np.save(temporary, different))
    write_json(folder / "record.json", {**record, "genes": list(genes), "slides": entries})
    return open_corpus(folder)


def _write_slides(
    slides: Iterable[ad.AnnData] | Mapping[str, Callable[[], ad.AnnData]], folder: Path, progress: Progress
) -> tuple[dict[str, dict[str, Any]], dict[str, pd.Index]]:
    """Check and write the slides: the entry of each in the record, and its genes."""
    written = _in_processes(slides, folder) if isinstance(slides, Mapping) else (_store(s, folder) for s in slides)
    entries: dict[str, dict[str, Any]] = {}
    panels: dict[str, pd.Index] = {}
    for name, genes, entry in written:
        if name in entries:
            raise UnitBenchError(f"slide {name}", "two slides have this name", "rename one")
        check_twins([*entries, name], "slide")
        entries[name], panels[name] = entry, pd.Index(genes)
        notes = [f"{number:,} {what.replace('_', ' ')}" for what, number in entry["noted"].items()]
        notes += [] if entry["labels"] else ["no labels"]
        progress(f"slide {name}" + (f": {', '.join(notes)}" if notes else ""))
    return entries, panels


def _in_processes(
    slides: Mapping[str, Callable[[], ad.AnnData]], folder: Path
) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """What `_store` gives for each slide. Every core of this machine reads some of them."""
    n_workers = min(len(slides), len(os.sched_getaffinity(0))) or 1
    with ProcessPoolExecutor(n_workers, get_context("fork"), _take, (slides,)) as pool:
        futures = {name: pool.submit(_read_and_store, name, folder) for name in slides}
        try:
            for name, future in futures.items():
                try:
                    yield future.result()
                except BrokenProcessPool:
                    where, cause = f"slide {name} or a later one", "the process that read it ended"
                    raise UnitBenchError(where, cause, "give it more memory, or fewer cores") from None
        finally:
            pool.shutdown(cancel_futures=True)


_READERS: dict[str, Callable[[], ad.AnnData]] = {}  # of a process that reads slides


def _take(slides: Mapping[str, Callable[[], ad.AnnData]]) -> None:
    _READERS.update(slides)


def _read_and_store(name: str, folder: Path) -> tuple[str, list[str], dict[str, Any]]:
    return _store(_READERS[name](), folder)


def _store(slide: ad.AnnData, folder: Path) -> tuple[str, list[str], dict[str, Any]]:
    """Check and write a slide: its name, its genes, and its entry in the record."""
    called = " ".join(str(slide.uns.get("slide", "?")).split())  # in one line
    name = check_slide(slide, f"slide {called}").uns["slide"]
    for column in slide.obs.select_dtypes("category"):
        slide.obs[column] = slide.obs[column].cat.remove_unused_categories()
    stored.write(folder, name, slide, along_a_curve(slide.obsm["lattice"]) if slide.n_obs > LARGE else None)
    labels = slide.obs["label"].value_counts() if "label" in slide.obs else {}
    return (
        name,
        slide.var_names.tolist(),
        {
            "donor": slide.uns["donor"],
            "group": slide.uns["group"],
            "n_spots": slide.n_obs,
            "n_genes": slide.n_vars,
            "labels": {str(label): int(count) for label, count in dict(labels).items() if count},
            "noted": noted(slide),
            "lattice": {key: _plain(value) for key, value in slide.uns["lattice"].items()},
        },
    )


def along_a_curve(lattice: np.ndarray) -> np.ndarray:
    """The order of spots along a curve that stays near: the Z-order (Morton 1966) of their cells.

    The spots of a crop then lie in few places of a file.

    Args:
        lattice: (row, column) of each spot, at least 0, `[n_spots, 2]`.

    Returns:
        int64 `[n_spots]`.
    """
    key = np.zeros(len(lattice), np.int64)
    for bit in range(int(lattice.max(initial=1)).bit_length()):
        for axis in (0, 1):
            key |= ((lattice[:, axis].astype(np.int64) >> bit) & 1) << (2 * bit + 1 - axis)
    return np.argsort(key, kind="stable")


def _renumber(
    folder: Path, entries: dict[str, dict[str, Any]], panels: Mapping[str, pd.Index], genes: pd.Index
) -> np.ndarray:
    """Give all slides the genes of the corpus, and their entries the number of their panel and the hash of their files.

    Returns:
        The different panels, bool `[n_panels, n_genes]`.
    """
    different: dict[bytes, np.ndarray] = {}
    for name, panel in panels.items():
        gene = genes.get_indexer(panel)
        stored.renumber(folder, name, gene)
        measured = np.zeros(len(genes), dtype=bool)
        measured[gene] = True
        different.setdefault(measured.tobytes(), measured)
        entries[name]["panel"] = list(different).index(measured.tobytes())
        entries[name]["sha256"] = fingerprint(stored.digests(folder, name))
    return np.stack(list(different.values()))


def _plain(value: object) -> object:
    """NumPy's scalars and arrays as JSON values."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
