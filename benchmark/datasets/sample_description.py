"""The keys of the YAML file that the readers of 10x Genomics' folders share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from benchmark.core.typed_values import Frozen
from benchmark.datasets.description import Digest, Name
from benchmark.datasets.genes import Genes
from benchmark.datasets.label_table import LabelTable

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
    label_table: LabelTable | None = Field(default=None, description="Labels by barcode, in a table of their own.")
    labels: str = Field(default="none", description="What the labels mean, and who gave them.")
    unlabelled: tuple[Name, ...] = Field(default=(), description='Labels that mean "no label".')
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
