"""The schema of a slide: what an AnnData must hold, and the check that it does.

| where              | what                                                                           |
|--------------------|--------------------------------------------------------------------------------|
| X                  | raw counts, CSR, float32, `[n_spots, n_genes]`                                  |
| var_names          | gene names, unique                                                             |
| obs_names          | spot names, unique within the slide                                            |
| obsm["position"]   | (y, x) in lattice pitches, float32 `[n_spots, 2]`: distances are physical       |
| obsm["lattice"]    | (row, column) of the spot's lattice cell, int32 `[n_spots, 2]`, from 0          |
| obsm["pixel"]      | optional: (x, y) in the image, before its `scale`                               |
| obs["label"]       | optional: category of each spot, missing where undetermined; no words for       |
|                    | "missing" such as "NA", no blanks around a label                               |
| uns["slide"]       | name of the slide                                                              |
| uns["donor"]       | the individual                                                                 |
| uns["group"]       | slides of one group stay on the same side of a split                           |
| uns["lattice"]     | kind, pitch, shape, n_shared, n_outside (see `lattice.py`)                      |
| uns["image"]       | optional: stain; kind, "morphology" or, if a spot is few pixels, "colour";      |
|                    | microns_per_pixel; scale; and pixels `[h, w, 3]`, or folder, path, url, sha256; |
|                    | light, "fluorescence" unless bright field; band, the only colour to show        |
| uns["join"]        | optional: how many of what were left out or read as missing, by a name with     |
|                    | underscores: `unitbench prepare` prints it, and the record of the corpus has it |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError
from benchmark.data import labels
from benchmark.data.names import check_donor, check_slide_name

if TYPE_CHECKING:
    import anndata as ad

MIN_SPOTS = 2


def make_slide(
    counts: sp.spmatrix | np.ndarray,
    genes: Sequence[str] | np.ndarray | pd.Index,
    spots: Sequence[str] | np.ndarray | pd.Index,
    *,
    name: str,
    donor: str,
    group: str | None = None,
    position: np.ndarray,
    lattice: np.ndarray,
    lattice_record: Mapping[str, Any],
    label: np.ndarray | pd.Series | None = None,
) -> ad.AnnData:
    """An AnnData in the schema above, from plain arrays. It is not checked: `check_slide` does that.

    Args:
        counts: raw counts, `[n_spots, n_genes]`.
        group: the donor, if it is left out.
        position, lattice, lattice_record: those of a `Lattice`.
        label: of each spot, `[n_spots]`; missing where undetermined. See `labels.clean`.
    """
    from anndata import AnnData

    obs = pd.DataFrame(index=pd.Index(np.asarray(spots, dtype=str)))
    if label is not None:
        obs["label"] = labels.clean(label)
    matrix = sp.csr_matrix(counts, dtype=np.float32)
    if not matrix.has_canonical_format:  # a value that is stored in two parts is their sum
        matrix = matrix.copy()
        matrix.sum_duplicates()
    slide = AnnData(
        X=matrix,
        obs=obs,
        var=pd.DataFrame(index=pd.Index(np.asarray(genes, dtype=str))),
    )
    slide.obsm["position"] = np.asarray(position, dtype=np.float32)
    slide.obsm["lattice"] = np.asarray(lattice, dtype=np.int32)
    slide.uns |= {
        "slide": str(name),
        "donor": str(donor),
        "group": str(group or donor),
        "lattice": dict(lattice_record),
    }
    return slide


def check_slide(slide: ad.AnnData, where: object) -> ad.AnnData:
    """The slide itself, if it satisfies the schema.

    Raises:
        UnitBenchError: it does not. The message names `where` (the file) and the first violation.
    """
    for key in ("slide", "donor", "group", "lattice"):
        if key not in slide.uns:
            raise UnitBenchError(where, f"uns[{key!r}] is missing", "the reader must set it")
    check_slide_name(slide.uns["slide"], where)
    for what in ("donor", "group"):
        check_donor(slide.uns[what], where, what)
    if slide.n_obs < MIN_SPOTS:
        raise UnitBenchError(where, f"{slide.n_obs} spot(s)", f"a slide needs at least {MIN_SPOTS}")
    if slide.n_vars == 0:
        raise UnitBenchError(where, "no genes", "check the gene names or the gene filter")
    for axis, index in (("spot", slide.obs_names), ("gene", slide.var_names)):
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            raise UnitBenchError(where, f"duplicate {axis} {twice!r}", f"make the {axis} names unique")
    check_counts(slide.X, where)
    _check_positions(slide, where)
    _check_label(slide, where)
    _check_pixels(slide, where)
    return slide


def check_counts(counts: sp.spmatrix | np.ndarray, where: object) -> None:
    """Raises UnitBenchError for a damaged matrix, NaN, infinite, negative or fractional values, or none but zeros."""
    if sp.issparse(counts) and counts.format in ("csr", "csc"):
        try:
            counts.check_format(full_check=True)
        except ValueError as error:
            raise UnitBenchError(where, f"the sparse counts are damaged ({error})", "write the file again") from None
    values = counts.data if sp.issparse(counts) else np.asarray(counts).ravel()
    if values.dtype.kind not in "buif":
        raise UnitBenchError(where, f"counts are of the type {values.dtype}, not numbers", "give raw counts")
    if not np.isfinite(values).all():
        raise UnitBenchError(where, "NaN or infinite counts", "give raw counts")
    if (values < 0).any():
        raise UnitBenchError(where, f"negative counts (least {values.min():g})", "give raw counts, not scaled values")
    if (values != np.round(values)).any():
        raise UnitBenchError(where, "counts are not whole numbers", "give raw counts, not normalised values")
    if values.size and not values.any():
        raise UnitBenchError(where, "every count is 0", "give raw counts")


def _check_positions(slide: ad.AnnData, where: object) -> None:
    for key in ("position", "lattice"):
        if key not in slide.obsm:
            raise UnitBenchError(where, f"positions are missing: no obsm[{key!r}]", "every spot needs a position")
        if slide.obsm[key].shape != (slide.n_obs, 2):
            raise UnitBenchError(
                where, f"obsm[{key!r}] has shape {slide.obsm[key].shape}", f"expected ({slide.n_obs}, 2)"
            )
        if not np.isfinite(slide.obsm[key]).all():
            raise UnitBenchError(where, f"obsm[{key!r}] has missing values", "drop those spots or give their positions")
    if (slide.obsm["lattice"] < 0).any():
        raise UnitBenchError(where, "negative lattice index", "lattice cells count from 0")


def _check_label(slide: ad.AnnData, where: object) -> None:
    """A label such as "nan" or " tumour" would be a class of its own."""
    if "label" in slide.obs:
        given = slide.obs["label"]
        asked = pd.Series(labels.clean(given), slide.obs_names).astype(object)
        wrong = given.notna() & (given.astype(object) != asked)
        if wrong.any():
            remedy = "leave it missing" if asked[wrong].isna().iloc[0] else "give text without blanks around it"
            raise UnitBenchError(where, f"the label {given[wrong].iloc[0]!r} is no label", remedy)


def _check_pixels(slide: ad.AnnData, where: object) -> None:
    if (pixels := slide.uns.get("image", {}).get("pixels")) is not None and (
        pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape
    ):
        cause = f"the image is {pixels.dtype} {list(pixels.shape)}"
        raise UnitBenchError(where, cause, "give uint8 [h, w, 3], as `benchmark.data.image.rgb` does")


def noted(slide: ad.AnnData) -> dict[str, int]:
    """What a user should know of a slide that is kept as it is: how many of what, by a name; none that is 0."""
    n_places = len(np.unique(slide.obsm["position"], axis=0))
    numbers = {
        "spots_without_counts": int((np.asarray(slide.X.sum(axis=1)).ravel() == 0).sum()),
        "spots_at_the_place_of_another": slide.n_obs - n_places,
        "spots_outside_the_shape": int(slide.uns["lattice"].get("n_outside", 0)),
        **{name: int(number) for name, number in slide.uns.get("join", {}).items()},
    }
    return {name: number for name, number in numbers.items() if number}
