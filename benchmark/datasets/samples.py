"""What the readers of vendors' folders share: the keys of a description, the samples that it names, the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, field_validator

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import sha256
from benchmark.data.download import check_file
from benchmark.data import labels
from benchmark.data.lattice import Lattice
from benchmark.data.slide import check_slide, make_slide
from benchmark.data.source import local_folder
from benchmark.datasets.description import Digest, Name, read_description
from benchmark.datasets.genes import Genes, named

if TYPE_CHECKING:
    import anndata as ad

NAMES_OF_GENES = {"symbols": {"column": "symbols"}, "ids": {}}
NOT_STATED = "not stated"


def _short(value: object) -> object:
    if isinstance(value, str):
        if value not in NAMES_OF_GENES:
            raise ValueError(f"give `symbols`, `ids`, or keys and values, not {value!r}")
        return NAMES_OF_GENES[value]
    return value


class SampleDescription(Frozen):
    """The keys of the YAML file that these readers share. Only the first three are needed."""

    page: ClassVar[str] = "docs/readers.md"
    technology: ClassVar[str]

    name: str = Field(description="Short.")
    folder: Path = Field(description="Folder of the files: a path below `UNITBENCH_DATA`, or an absolute one.")
    donor: Name | dict[Name, Name] = Field(description="The individual, or that of each slide.")
    group: Name | dict[Name, Name] | None = Field(
        default=None, description="Slides of one group stay on one side of a split. Null: the donor."
    )
    slides: dict[Name, str] = Field(
        default={}, description="The subfolder of each slide. Without it the folder is one slide, with its `name`."
    )
    title: str = Field(default="", description="What the tissue is, in words. Left out: the name.")
    source: str = Field(default=NOT_STATED, description="Where the data come from.")
    licence: str = Field(default=NOT_STATED, description="Under which they may be used.")
    citation: str | None = Field(default=None, description="A DOI.")
    genes: Annotated[Genes, BeforeValidator(_short)] = Field(
        default=Genes(column="symbols"),
        description="Names of the genes: `symbols`, `ids`, or the keys of [](own_data.md), which begin from the ids.",
    )
    files: dict[str, Digest] = Field(
        default={}, description="The sha256 of files, by path below `folder`. Those listed are checked."
    )

    @field_validator("slides")
    @classmethod
    def _inside(cls, slides: dict[str, str]) -> dict[str, str]:
        for path in slides.values():
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise ValueError(f"{path!r} is no subfolder: give a path below `folder`")
        return slides

    @property
    def folders(self) -> dict[str, str]:
        """The path of each slide below the folder."""
        return self.slides or {self.name: "."}


class Sample(NamedTuple):
    """What a reader makes of the files of one slide.

    data: the counts, with a column of var for the symbols of the genes.
    noted: how much of what was left out, for `uns["join"]`.
    label: of each spot, in a file of the sample itself.
    pixel: (x, y) of each spot in the image, before its `scale`, `[n_spots, 2]`.
    image: `uns["image"]` but for microns_per_pixel, which follows from the lattice.
    """

    data: ad.AnnData
    laid: Lattice
    noted: dict[str, int]
    label: pd.Series | None = None
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
            "labels": "none",
            "files": [{"path": file.relative_to(folder).as_posix(), "sha256": sha256(file)} for file in files],
            "donors": {name: self._of("donor", name) for name in about.folders},
            "groups": {name: self._of("group", name) for name in about.folders},
            "description": about.model_dump(mode="json", exclude={"folder", "files"}),
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, one at a time.

        Raises:
            UnitBenchError: the description or a file is missing, damaged, altered, or does not fit the others.
        """
        for path, digest in self.about.files.items():
            if not (file := self._folder / path).is_file():
                raise UnitBenchError(file, "file not found", "restore it, or correct `files` in the description")
            check_file(file, digest)
        for name in self.about.folders:
            yield self._slide(name, self.parts(name))

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
        given = self.about.folder
        folder = given if given.is_absolute() else local_folder(str(given))
        if folder is None or not folder.is_dir():
            raise UnitBenchError(
                self.describe, f"no folder {given}", "set UNITBENCH_DATA to the folder that contains it"
            )
        return folder

    def _of(self, key: str, name: str) -> str:
        """The donor or group of a slide."""
        given = self.about.donor if key == "donor" or self.about.group is None else self.about.group
        if isinstance(given, dict) and name not in given:
            raise UnitBenchError(self.describe, f"no {key}: slide {name!r} is not in `{key}`", "add it")
        return given[name] if isinstance(given, dict) else given

    def _slide(self, name: str, parts: Mapping[str, Path]) -> ad.AnnData:
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
        if sample.image is not None:
            slide.obsm["pixel"] = np.asarray(sample.pixel, dtype=np.float32)
            slide.uns["image"] = sample.image | {"microns_per_pixel": microns_per_pixel(sample, where)}
        return check_slide(slide, where)


def microns_per_pixel(sample: Sample, where: Path) -> float:
    """Of the image in its file: the spots spread in it as they do on the lattice, whose pitch is in µm.

    Raises:
        UnitBenchError: all spots are at one place of the image.
    """
    pixels, pitches = (np.sqrt(xy.var(axis=0).sum()) for xy in (sample.pixel, sample.laid.position.astype(float)))
    if not pixels > 0:
        raise UnitBenchError(where, "all spots are at one place of the image", "correct their pixels, or drop `image`")
    return float(sample.laid.record["pitch"] * pitches / (pixels * sample.image["scale"]))


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
