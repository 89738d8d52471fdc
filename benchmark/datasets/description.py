"""The short YAML file that describes a folder of `.h5ad` slides: its keys, typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from benchmark.core.config import Frozen, build
from benchmark.core.yaml_file import read_yaml

AnyDescription = TypeVar("AnyDescription", bound=Frozen)


class Grid(Frozen):
    """The lattice, and its positions: in two columns of obs (square, hex), or (x, y) in a key of obsm (binned)."""

    kind: Literal["square", "hex", "binned"] = Field(
        description="`square`: a square array. `hex`: Visium's, whose columns step by 2 within a row. "
        "`binned`: single cells anywhere."
    )
    pitch: float = Field(
        gt=0, description="Distance between neighbouring spots. Of `binned` the side of a bin, about a cell."
    )
    unit: str = Field(description="Of the pitch, such as µm.")
    row: str = Field(default="array_row", description="Of `square` and `hex`: the column of obs with the row's index.")
    column: str = Field(default="array_col", description="Likewise the column's index.")
    spatial: str = Field(default="spatial", description="Of `binned`: the key of obsm with (x, y), in the same unit.")
    shape: tuple[int, int] | None = Field(
        default=None, description="Rows and columns of the whole array. Spots beyond it stay, and are counted."
    )


class Picture(Frozen):
    """An image in each slide, as in scanpy's Visium layout: `uns["spatial"][library]["images"]`."""

    resolution: str = Field(default="lowres", description="`lowres` or `hires`.")
    stain: str = Field(description="Such as H&E.")
    kind: Literal["morphology", "colour"] = Field(
        description="`colour` where a spot is too few pixels for its cells to show."
    )


class InUns(Frozen):
    """A key of uns."""

    uns: str = Field(description="A key of the slide's uns.")


class InObs(Frozen):
    """A column of obs, with one value in a slide."""

    obs: str = Field(description="A column of obs, with one value in the whole slide.")


# Where the donor or group of a slide is written: in the slide, or in the description, under the name of each slide.
Origin = Annotated[InUns | InObs | dict[str, str], Field(union_mode="left_to_right")]


class Description(Frozen):
    """The keys of the YAML file. `files` has the sha256 of each file; without it, all files of the folder are read."""

    name: str = Field(description="Short.")
    title: str = Field(description="What the tissue is, in words.")
    folder: Path = Field(description="Folder of the files: a path below `UNITBENCH_DATA`, or an absolute one.")
    source: str = Field(description="Where the data come from; kept in the manifest, as the next three.")
    licence: str = Field(description="Under which they may be used.")
    citation: str | None = Field(default=None, description="A DOI.")
    technology: str = Field(description="The assay, in words.")
    label: str | None = Field(default=None, description="Column of obs that holds the labels. Null: there are none.")
    labels: str = Field(default="none", description="What the labels mean, and who gave them.")
    unlabelled: tuple[str, ...] = Field(default=(), description='Values of that column that mean "no label".')
    donor: Origin = Field(
        description="The individual: a key of the slide's uns, a column of its obs with one value, or here by slide."
    )
    group: Origin | None = Field(
        default=None, description="Slides of one group stay on one side of a split. Null: the donor."
    )
    lattice: Grid = Field(description="Where the spots lie.")
    image: Picture | None = Field(default=None, description="An image inside the slides.")
    files: dict[str, str] = Field(
        default={}, description="The sha256 of each file. Without it, every `.h5ad` file of the folder is read."
    )


def read_description(path: Path, kind: type[AnyDescription]) -> AnyDescription:
    """The description in a YAML file, of the class `kind`.

    Raises:
        UnitBenchError: the file is missing, is not YAML, or has a key or value that is not understood.
    """
    return build(kind, read_yaml(path), path)
