"""What a folder of `.h5ad` slides holds, and under which names: the short YAML file, typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import Field

from benchmark.core.config import Frozen, build
from benchmark.core.errors import UnitBenchError

AnyDescription = TypeVar("AnyDescription", bound=Frozen)


class Grid(Frozen):
    """Where the positions are: two columns of obs (square, hex), or (x, y) in a key of obsm (binned)."""

    kind: Literal["square", "hex", "binned"]
    pitch: float = Field(gt=0)
    unit: str
    row: str = "array_row"
    column: str = "array_col"
    spatial: str = "spatial"
    shape: tuple[int, int] | None = None


class Picture(Frozen):
    """An image that each slide carries as scanpy's Visium layout has it: `uns["spatial"][library]["images"]`."""

    resolution: str = "lowres"  # or "hires"
    stain: str
    kind: Literal["morphology", "colour"]  # colour: a spot is too few pixels for its cells to show


class InUns(Frozen):
    uns: str


class InObs(Frozen):
    obs: str


# Where a slide's donor or group is written: in the slide, or here, for each slide.
Place = Annotated[InUns | InObs | dict[str, str], Field(union_mode="left_to_right")]


class Description(Frozen):
    """The YAML file. `files` gives each file's sha256; without it, every `.h5ad` of the folder is read."""

    name: str
    title: str
    folder: Path  # under UNITBENCH_DATA, or absolute
    source: str
    licence: str
    citation: str | None = None
    technology: str
    label: str | None = None  # column of obs
    labels: str = "none"  # what they mean, and whence they come
    unlabelled: tuple[str, ...] = ()  # values of that column that mean "no label"
    donor: Place
    group: Place | None = None  # the donor, where it is left out
    lattice: Grid
    image: Picture | None = None
    files: dict[str, str] = Field(default_factory=dict)


def read_description(path: Path, kind: type[AnyDescription] = Description) -> AnyDescription:
    """Raises UnitBenchError: no file, no YAML, or a key or value that is not understood."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnitBenchError(path, error.strerror, "give the path of a description") from None
    except yaml.YAMLError as error:
        raise UnitBenchError(path, f"no valid YAML ({str(error).splitlines()[0]})", "correct it") from None
    return build(kind, values, path)
