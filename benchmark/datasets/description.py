"""The short YAML file that describes a folder of `.h5ad` or `.zarr` slides: its keys, typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from benchmark.core.errors import UnitBenchError
from benchmark.core.typed_values import Frozen, build
from benchmark.core.yaml_file import read_yaml
from benchmark.datasets.genes import Genes
from benchmark.datasets.label_table import LabelTable

AnyDescription = TypeVar("AnyDescription", bound=Frozen)
PAGE = "docs/own_data.md"  # where the keys of a description are listed, unless its class names another


def _name(value: object) -> object:
    """YAML reads the name 151673 as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_name)]
Digest = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class Grid(Frozen):
    """The lattice, and where the positions are: indices of an array (square, hex), or (x, y) of any unit (binned)."""

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
    spatial: str = Field(default="spatial", description="Of `binned`: the key of obsm with (x, y).")
    axes: tuple[str, str] | None = Field(
        default=None,
        description="Of `binned`: the columns of (x, y) where that key holds a table. Null: those named x and y.",
    )
    x: str | None = Field(default=None, description="Of `binned`: a column of obs with x, in place of `spatial`.")
    y: str | None = Field(default=None, description="Likewise y.")
    scale: float | None = Field(
        default=None,
        gt=0,
        description="Of `binned`: positions times it are in the unit of the pitch. "
        "It is µm per pixel, where they are pixels. Null: they have that unit.",
    )
    shape: tuple[int, int] | None = Field(
        default=None, description="Rows and columns of the whole array. Spots beyond it stay, and are counted."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Grid:
        for key in ("axes", "x", "y", "scale"):
            if self.kind != "binned" and getattr(self, key) is not None:
                raise ValueError(f"`{key}` is of the kind `binned`: {self.kind} takes `row` and `column`")
        if (self.x is None) != (self.y is None):
            raise ValueError("`x` and `y` go together: name both columns of obs")
        if self.x is not None and {"spatial", "axes"} & self.model_fields_set:
            raise ValueError("positions are in `spatial`, or in `x` and `y`: name one of them")
        return self


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
    """A column of obs. That of a donor or group has one value in a slide."""

    obs: str = Field(description="A column of obs.")


def _one_form(value: object) -> object:
    if isinstance(value, dict) and value and all(isinstance(name, str | int | float) for name in value.values()):
        return value
    raise ValueError("give {uns: KEY}, {obs: COLUMN}, or a value for each slide, {slide1: VALUE, slide2: VALUE}")


# Where the donor or group of a slide is written: in the slide, or in the description, under the name of each slide.
Origin = Annotated[InUns | InObs | dict[Name, Name], Field(union_mode="left_to_right"), BeforeValidator(_one_form)]


class Description(Frozen):
    """The keys of the YAML file. `files` has the sha256 of each file; without it, all files of the folder are read."""

    name: str = Field(description="Short.")
    title: str = Field(description="What the tissue is, in words.")
    folder: Path = Field(description="Folder of the files: a path below `UNITBENCH_DATA`, or an absolute one.")
    source: str = Field(description="Where the data come from; kept in the manifest, as the next three.")
    licence: str = Field(description="Under which they may be used.")
    citation: str | None = Field(default=None, description="A DOI.")
    technology: str = Field(description="The assay, in words.")
    counts: str = Field(
        default="X",
        pattern="^(X|raw|layers/.+)$",
        description="Where the raw counts are: `X`, `raw`, or a layer, such as `layers/counts`.",
    )
    slide: InObs | None = Field(
        default=None,
        description="Column of obs that names the slide of each spot. Null: each file is one slide, named after it.",
    )
    genes: Genes | None = Field(default=None, description="What genes are called. Null: as in the index of var.")
    label: str | None = Field(
        default=None,
        description="Column of obs that holds the labels. A slide without it is unlabelled. "
        "Null: there are none, or they are in `label_table`.",
    )
    label_table: LabelTable | None = Field(default=None, description="Labels by barcode, in a table of their own.")
    labels: str = Field(default="none", description="What the labels mean, and who gave them.")
    unlabelled: tuple[Name, ...] = Field(default=(), description='Labels that mean "no label".')
    keep: tuple[str, ...] = Field(
        default=(), description="More columns of obs with labels, for tasks with an option `key`."
    )
    donor: Origin = Field(
        description="The individual: a key of the slide's uns, a column of its obs with one value, or here by slide."
    )
    group: Origin | None = Field(
        default=None, description="Slides of one group stay on one side of a split. Null: the donor."
    )
    lattice: Grid = Field(description="Where the spots lie.")
    image: Picture | None = Field(default=None, description="An image inside the slides.")
    files: dict[str, Digest] = Field(
        default={},
        description="The sha256 of each file or store, by its path below `folder`. "
        "Without it, every `.h5ad` file and `.zarr` store that lies in the folder itself is read.",
    )

    @model_validator(mode="after")
    def _labels_once(self) -> Description:
        if self.label is not None and self.label_table is not None:
            raise ValueError("labels come from `label` or from `label_table`: leave one out")
        return self

    @property
    def columns(self) -> dict[str, str]:
        """The columns of obs that hold labels, and what the slide calls each."""
        return ({self.label: "label"} if self.label else {}) | {name: name for name in self.keep}

    @field_validator("keep")
    @classmethod
    def _kept(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        for name in keep:
            if name == "label" or "/" in name:
                raise ValueError(f"{name!r} cannot be kept: name a column other than 'label', and without '/'")
        return keep


def read_description(path: Path, kind: type[AnyDescription]) -> AnyDescription:
    """The description in a YAML file, of the class `kind`. The table of genes lies beside that file.

    Raises:
        UnitBenchError: the file is missing, is not YAML, or has a key or value that is not understood.
    """
    values = read_yaml(path)
    if missing := _missing(kind, values):
        page = getattr(kind, "page", PAGE)
        raise UnitBenchError(path, f"key(s) missing: {', '.join(missing)}", f"add them; the keys are in {page}")
    about = build(kind, values, path)
    if (genes := getattr(about, "genes", None)) and genes.table:
        beside = genes.model_copy(update={"table": path.parent / genes.table})
        about = about.model_copy(update={"genes": beside})
    return about


def _missing(kind: type[Frozen], values: object) -> list[str]:
    """All keys that are missing; none if a key is unknown, since that is often a misspelling of one that is missing."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        if not any(details["type"] == "extra_forbidden" for details in errors):
            places = [details["loc"] for details in errors if details["type"] == "missing"]
            # Inside a donor or group, what is missing is missing from one of several forms; a number counts in a list.
            whole = [loc for loc in places if len(loc) == 1 or loc[0] not in ("donor", "group")]
            return [".".join(loc) for loc in whole if all(isinstance(part, str) for part in loc)]
    return []


def without_places(about: Frozen) -> dict[str, Any]:
    """A description as JSON values, without the paths and checksums of its files, which a record has elsewhere."""
    places = {"folder": True, "files": True, "genes": {"table"}, "label_table": {"path"}}
    return about.model_dump(mode="json", by_alias=True, exclude=places)
