"""What the readers of vendors' folders share: the keys of a description, the samples that it names, the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import sha256
from benchmark.data.download import check_file
from benchmark.data.source import local_folder
from benchmark.datasets.description import Description, Digest, Grid, Name, Picture, read_description
from benchmark.datasets.genes import Genes
from benchmark.datasets.h5ad_slide import slide_of

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

    @property
    def lattice(self) -> Grid:
        raise NotImplementedError

    @property
    def picture(self) -> Picture | None:
        """The image of each slide."""
        return None


class SampleFolder(Frozen):
    """`describe`: path of the YAML file."""

    kind: ClassVar[type[SampleDescription]]
    describe: Path

    def parts(self, folder: Path) -> dict[str, Path]:
        """The files, and folders of files, that a slide is made of, by what they are; one is the `matrix`."""
        raise NotImplementedError

    def load(self, parts: Mapping[str, Path]) -> tuple[ad.AnnData, dict[str, int]]:
        """A sample in scanpy's layout, and how much of what was left out."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """What this dataset is. It names the sha256 of every file that the slides depend on; no counts are read."""
        about, folder = self.about, self._folder
        files = sorted({file for name in about.folders for part in self._parts(name).values() for file in _files(part)})
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
            parts = self._parts(name)
            data, noted = self.load(parts)
            slide = slide_of(data, self._layout(name), name, parts["matrix"])
            slide.uns["join"] |= noted
            yield slide

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
            raise UnitBenchError(self.describe, f"no folder {given}", "set UNITBENCH_DATA to the folder that contains it")
        return folder

    def _parts(self, name: str) -> dict[str, Path]:
        return self.parts(self._folder / self.about.folders[name])

    def _of(self, key: str, name: str) -> str:
        """The donor or group of a slide."""
        given = self.about.donor if key == "donor" or self.about.group is None else self.about.group
        if isinstance(given, dict) and name not in given:
            raise UnitBenchError(self.describe, f"no {key}: slide {name!r} is not in `{key}`", "add it")
        return given[name] if isinstance(given, dict) else given

    def _layout(self, name: str) -> Description:
        """How the sample lies in the AnnData of `load`."""
        about = self.about
        return Description(
            **about.model_dump(include={"name", "title", "folder", "source", "licence"}),
            technology=about.technology,
            donor={name: self._of("donor", name)},
            group={name: self._of("group", name)},
            lattice=about.lattice,
            image=about.picture,
            genes=about.genes,
        )


def _files(part: Path) -> list[Path]:
    """The file itself, or all files of a folder."""
    return [file for file in part.rglob("*") if file.is_file()] if part.is_dir() else [part]
