"""What the readers of 10x Genomics' folders share: the samples of a description become slides, with a record."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import sha256
from benchmark.core.typed_values import Frozen
from benchmark.data.download import check_file
from benchmark.data.lattice import Lattice
from benchmark.data.slide import check_slide, make_slide
from benchmark.data.source import described_folder
from benchmark.datasets.description import read_description, without_places
from benchmark.datasets.genes import named
from benchmark.datasets.label_table import LabelJoin
from benchmark.datasets.sample_description import SampleDescription

if TYPE_CHECKING:
    import anndata as ad


class Sample(NamedTuple):
    """What a reader makes of the files of one slide.

    data: the counts, with a column of var for the symbols of the genes.
    noted: how much of what was left out, for `uns["join"]`.
    pixel: (x, y) of each spot in the image, before its `scale`, `[n_spots, 2]`.
    image: `uns["image"]` but for microns_per_pixel, which follows from the lattice.
    """

    data: ad.AnnData
    laid: Lattice
    noted: dict[str, int]
    pixel: np.ndarray | None = None
    image: dict[str, Any] | None = None


class SampleFolder(Frozen):
    """`describe`: path of the YAML file."""

    kind: ClassVar[type[SampleDescription]]
    describe: Path

    def place(self, name: str) -> Path:
        """The folder of a slide."""
        return self._folder / self.about.folders[name]

    def parts(self, name: str) -> dict[str, Path]:
        """The files, and folders of files, that a slide is made of, by what they are; one is the `matrix`."""
        raise NotImplementedError

    def load(self, parts: Mapping[str, Path]) -> Sample:
        """Raises UnitBenchError: a file is damaged, or does not fit the others."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """What this dataset is. It names the sha256 of every file that the slides depend on; no counts are read."""
        about, folder = self.about, self._folder
        files = sorted({file for name in about.folders for part in self.parts(name).values() for file in _files(part)})
        return {
            **about.model_dump(include={"name", "source", "licence", "citation"}),
            "title": about.title or about.name,
            "technology": about.technology,
            "labels": about.labels,
            "files": [{"path": file.relative_to(folder).as_posix(), "sha256": sha256(file)} for file in files],
            "tables": {path.name: sha256(path) for path in self._tables if path.is_file()},
            "donors": {name: self._of("donor", name) for name in about.folders},
            "groups": {name: self._of("group", name) for name in about.folders},
            "description": without_places(about),
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, one at a time.

        Raises:
            UnitBenchError: the description or a file is missing, damaged, altered, or does not fit the others.
        """
        about = self.about
        for path, digest in about.files.items():
            if not (file := self._folder / path).is_file():
                raise UnitBenchError(file, "file not found", "restore it, or correct `files` in the description")
            check_file(file, digest)
        table = LabelJoin(about.label_table, self._folder, about.unlabelled) if about.label_table else None
        labelled, last = False, [*about.folders][-1]
        for name in about.folders:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*names are not unique")  # `check_slide` refuses them, in one line
                slide = self._slide(name, self.parts(name), table)
            labelled = labelled or "label" in slide.obs
            if table and name == last:
                left = table.rows_left(about.folders, slide.obs_names)
                slide.uns["join"]["rows_of_the_label_table_for_no_spot_of_any_slide"] = left
            yield slide
        if table and not labelled:
            raise UnitBenchError(
                table.path, "no slide has a label in this table", "correct `label_table.label`, or `unlabelled`"
            )

    @cached_property
    def about(self) -> Any:
        """The description, of the class `kind`."""
        about = read_description(self.describe, self.kind)
        for key in ("donor", "group"):
            if isinstance(given := getattr(about, key), dict) and (extra := given.keys() - about.folders.keys()):
                cause = f"`{key}` names {min(extra)!r}, which is no slide"
                raise UnitBenchError(self.describe, cause, nearest(min(extra), about.folders))
        return about

    @cached_property
    def _folder(self) -> Path:
        return described_folder(self.about.folder, self.describe)

    @property
    def _tables(self) -> list[Path]:
        """The tables that the description names."""
        genes, labels = self.about.genes.table, self.about.label_table
        return ([genes] if genes else []) + ([self._folder / labels.path] if labels else [])

    def _of(self, key: str, name: str) -> str:
        """The donor or group of a slide."""
        given = self.about.donor if key == "donor" or self.about.group is None else self.about.group
        if isinstance(given, dict) and name not in given:
            raise UnitBenchError(self.describe, f"no {key}: slide {name!r} is not in `{key}`", "add it")
        return given[name] if isinstance(given, dict) else given

    def _slide(self, name: str, parts: Mapping[str, Path], table: LabelJoin | None) -> ad.AnnData:
        sample, where = self.load(parts), parts["matrix"]
        data = sample.data
        counts, genes, unnamed = named(data.X, data.var_names, data.var, self.about.genes, where)
        slide = make_slide(
            counts,
            genes,
            data.obs_names,
            name=name,
            donor=self._of("donor", name),
            group=self._of("group", name),
            position=sample.laid.position,
            lattice=sample.laid.cell,
            lattice_record=sample.laid.record,
        )
        slide.uns["join"] = sample.noted | unnamed
        if table:
            found, noted = table.labels(name, slide.obs_names)
            slide.uns["join"] |= noted
            if len(found.categories):
                slide.obs["label"] = found
        if sample.image is not None:
            slide.obsm["pixel"] = np.asarray(sample.pixel, dtype=np.float32)
            in_file = sample.pixel * sample.image["scale"]
            scale = microns_per_pixel(in_file, sample.laid.position, sample.laid.record["pitch"], where)
            slide.uns["image"] = sample.image | {"microns_per_pixel": scale}
        return check_slide(slide, where)


def microns_per_pixel(pixel: np.ndarray, position: np.ndarray, pitch: float, where: Path) -> float:
    """The scale of an image: the spots spread in it as they do on the lattice.

    Args:
        pixel: (x, y) of each spot in the image, `[n_spots, 2]`.
        position: (y, x) of each spot in pitches, `[n_spots, 2]`.
        pitch: in µm.

    Raises:
        UnitBenchError: all spots are at one place of the image.
    """
    pixels, pitches = (np.sqrt(np.var(place, axis=0, dtype=float).sum()) for place in (pixel, position))
    if not pixels > 0:
        raise UnitBenchError(where, "all spots are at one place of the image", "correct their pixels, or drop `image`")
    return float(pitch * pitches / pixels)


def placed(lay: Callable[..., Lattice], down: pd.Series, across: pd.Series, pitch: float, where: Path) -> Lattice:
    """The spots on a lattice of `benchmark.data.lattice`, of a pitch in µm.

    Raises:
        UnitBenchError: they do not fit it; the line names the file `where`.
    """
    try:
        return lay(down, across, pitch, "µm")
    except UnitBenchError as error:
        raise UnitBenchError(where, error.cause, error.remedy) from None


def _files(part: Path) -> list[Path]:
    """The file itself, or all files of a folder."""
    return [file for file in part.rglob("*") if file.is_file()] if part.is_dir() else [part]
