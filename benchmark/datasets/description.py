"""The short YAML file that describes a folder of `.h5ad` slides: its keys, typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import Field

from benchmark.core.config import Frozen, build
from benchmark.core.errors import UnitBenchError

AnyDescription = TypeVar("AnyDescription", bound=Frozen)


class Grid(Frozen):
    """The lattice, and its positions: in two columns of obs (square, hex), or (x, y) in a key of obsm (binned)."""

    kind: Literal["square", "hex", "binned"]
    pitch: float = Field(gt=0)
    unit: str
    row: str = "array_row"
    column: str = "array_col"
    spatial: str = "spatial"
    shape: tuple[int, int] | None = None


class Picture(Frozen):
    """An image in each slide, as in scanpy's Visium layout: `uns["spatial"][library]["images"]`."""

    resolution: str = "lowres"  # or "hires"
    stain: str
    kind: Literal["morphology", "colour"]  # colour: a spot is so few pixels that its cells do not show


class InUns(Frozen):
    """A key of uns."""

    uns: str


class InObs(Frozen):
    """A column of obs, with one value in a slide."""

    obs: str


# Where the donor or group of a slide is written: in the slide, or in the description, under the name of each slide.
Origin = Annotated[InUns | InObs | dict[str, str], Field(union_mode="left_to_right")]


class Description(Frozen):
    """The keys of the YAML file. `files` has the sha256 of each file; without it, all files of the folder are read."""

    name: str
    title: str
    folder: Path  # under UNITBENCH_DATA, or absolute
    source: str
    licence: str
    citation: str | None = None
    technology: str
    label: str | None = None  # column of obs
    labels: str = "none"  # what they mean, and who gave them
    unlabelled: tuple[str, ...] = ()  # values of that column that mean "no label"
    donor: Origin
    group: Origin | None = None  # the donor, if it is left out
    lattice: Grid
    image: Picture | None = None
    files: dict[str, str] = Field(default_factory=dict)


def read_description(path: Path, kind: type[AnyDescription]) -> AnyDescription:
    """The description in a YAML file, of the class `kind`.

    Raises:
        UnitBenchError: the file is missing, is not YAML, or has a key or value that is not understood.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnitBenchError(path, str(error.strerror), "give the path of a description") from None
    except yaml.YAMLError as error:
        raise UnitBenchError(path, f"no valid YAML ({str(error).splitlines()[0]})", "correct it") from None
    return build(kind, values, path)
