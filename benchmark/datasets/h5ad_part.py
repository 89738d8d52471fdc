"""The spots of one slide in a `.h5ad` file or `.zarr` store, which holds one slide or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import labels
from benchmark.data.names import check_donor, check_slide_name, is_missing
from benchmark.datasets.description import Description, InObs, InUns, Origin
from benchmark.datasets.h5ad_file import AnnDataFile


@dataclass(frozen=True)
class Part:
    """A slide of an open file. `spots`: which rows of the file are its spots, bool `[n_rows]`."""

    file: AnnDataFile
    name: str
    spots: np.ndarray

    @property
    def path(self) -> Path:
        return self.file.path

    @cached_property
    def obs(self) -> pd.DataFrame:
        return self.file.obs[self.spots]

    def obsm(self, key: str) -> pd.DataFrame:
        """A key of obsm as a table, `[n_spots, n]`. Raises UnitBenchError: there is no such key."""
        if key not in (known := self.file.keys("obsm")):
            raise UnitBenchError(self.path, f"positions are missing: no obsm[{key!r}]", nearest(key, known))
        table = self.file.read(f"obsm/{key}")
        return pd.DataFrame(table.toarray() if sp.issparse(table) else table)[self.spots]

    def column(self, name: str, problem: str) -> pd.Series:
        """A column of obs, `[n_spots]`. Raises UnitBenchError: it is not there, which means the problem."""
        return column(self.file, name, problem)[self.spots]

    def on_tissue(self) -> Part:
        """The slide without the spots that Space Ranger marks as off the tissue: obs["in_tissue"] is 0."""
        if "in_tissue" not in self.obs:
            return self
        off = pd.to_numeric(self.obs["in_tissue"].astype(object), errors="coerce").to_numpy() == 0
        spots = self.spots.copy()
        spots[spots] = ~off
        return replace(self, spots=spots)


def parts(file: AnnDataFile, about: Description) -> list[Part]:
    """The slides of a file, in the order in which they begin.

    Raises:
        UnitBenchError: the column that names the slides is not there, some spots have none, or one is no legal name.
    """
    if about.slide is None:
        return [Part(file, file.path.stem, np.ones(len(file.obs), dtype=bool))]
    name = about.slide.obs
    code, values = pd.factorize(np.asarray(column(file, name, "slides are not named"), dtype=object))
    slides = [labels.text(value) for value in values]
    lost = np.isin(code, [-1, *(number for number, slide in enumerate(slides) if is_missing(slide))])
    if lost.any():
        cause = f"{lost.sum()} spot(s) have no slide in obs[{name!r}]"
        raise UnitBenchError(file.path, cause, "drop those spots, or name their slide")
    for slide in slides:
        check_slide_name(slide, f"{file.path}: obs[{name!r}]")
    called = np.array(slides, dtype=object)[code] if slides else code
    return [Part(file, slide, called == slide) for slide in dict.fromkeys(slides)]


def column(file: AnnDataFile, name: str, problem: str) -> pd.Series:
    """A column of obs, of all spots of the file. Raises UnitBenchError: it is not there, which means the problem."""
    if name not in file.obs:
        known = ", ".join(map(str, file.obs.columns)) or "none"
        raise UnitBenchError(file.path, f"{problem}: no obs[{name!r}]", f"columns: {known}")
    return file.obs[name]


def donor_and_group(part: Part, about: Description) -> tuple[str, str]:
    """Donor and group of the slide; the group is the donor, unless the description gives another.

    Raises:
        UnitBenchError: one of them is not where the description says, or is missing there.
    """
    return _value(part, about.donor, "donor"), _value(part, about.group or about.donor, "group")


def _value(part: Part, origin: Origin, what: str) -> str:
    """The donor or group of the slide, from where the description says."""
    if isinstance(origin, InObs):
        values = part.column(origin.obs, f"no {what}").unique()
        if len(values) != 1:
            cause = f"{len(values)} values of {what} in obs[{origin.obs!r}] of slide {part.name!r}"
            raise UnitBenchError(part.path, cause, "give one slide in each file, or name the slides' column in `slide`")
        value: Any = values[0]
    elif isinstance(origin, InUns):
        _known(part, origin.uns, part.file.keys("uns"), "uns", what)
        value = part.file.read(f"uns/{origin.uns}")
    else:
        _known(part, part.name, origin, "description", what)
        value = origin[part.name]
    if np.size(value) != 1 or isinstance(value, dict):
        cause = f"the {what} is no single value, but {str(value)[:60]!r}"
        raise UnitBenchError(part.path, cause, f"give one {what}")
    check_donor(name := labels.text(np.asarray(value, dtype=object).item()), part.path, what)
    return name


def _known(part: Part, key: str, known: Any, where: str, what: str) -> None:
    if key not in known:
        raise UnitBenchError(part.path, f"no {what}: {key!r} is not in its {where}", nearest(key, known))
