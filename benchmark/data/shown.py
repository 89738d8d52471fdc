"""What a method is shown of a slide: nothing that is scored, and arrays that it cannot write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.data.normalisation import hide, sizes
from benchmark.data.panel import measured

if TYPE_CHECKING:
    from anndata import AnnData

OBSM = ("position", "lattice", "pixel")
UNS = ("slide", "donor", "group", "lattice", "image")
OF_IMAGE = ("pixel", "image")


def shown(
    slide: AnnData, counts: bool = True, image: bool = True, genes: np.ndarray | None = None, labels: bool = False
) -> AnnData:
    """A new AnnData with the counts, gene names, positions and image of a slide: no labels, no truth of a simulation.

    Its arrays are shared with the slide and read-only; `slide.copy()` gives some that can be written to.

    Args:
        counts: False: no spot has any.
        image: False: there is none, nor are there positions in it.
        genes: the only genes with counts, bool `[n_genes]`; None: all. The others then count as not measured, and
            obs["library_size"] has the sum over all genes of the slide.
        labels: True: obs["label"] is shown, where the slide has labels.
    """
    from anndata import AnnData

    kept = {key for key in (*OBSM, *UNS) if image or key not in OF_IMAGE}
    has = measured(slide)
    obs = {key: slide.obs[key] for key in ("library_size",) if counts and key in slide.obs}
    if labels and "label" in slide.obs:
        obs["label"] = slide.obs["label"]
    matrix = slide.X if counts else sp.csr_matrix(slide.shape, dtype=np.float32)
    if genes is not None and (left_out := has & ~genes).any():
        if counts:
            obs["library_size"] = sizes(slide)
            matrix = hide(matrix, np.flatnonzero(left_out))
        has = has & genes
    return AnnData(
        X=locked(matrix),
        obs=pd.DataFrame(obs, index=slide.obs_names),
        var=pd.DataFrame({"measured": has}, index=slide.var_names),
        obsm={key: _locked(slide.obsm[key]) for key in OBSM if key in slide.obsm and key in kept},
        uns={key: _locked_within(slide.uns[key]) for key in UNS if key in slide.uns and key in kept},
    )


def read_only(slide: AnnData) -> AnnData:
    """A new AnnData with all that a slide has. Its arrays are shared and read-only."""
    from anndata import AnnData

    return AnnData(
        X=locked(slide.X),
        obs=slide.obs.copy(),
        var=slide.var.copy(),
        obsm={key: _locked(value) for key, value in slide.obsm.items()},
        uns={key: _locked_within(value) for key, value in slide.uns.items()},
    )


def locked(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The same matrix on read-only arrays."""
    new = sp.csr_matrix(matrix.shape, dtype=matrix.dtype)
    new.data, new.indices, new.indptr = (_locked(part) for part in (matrix.data, matrix.indices, matrix.indptr))
    new.has_sorted_indices, new.has_canonical_format = matrix.has_sorted_indices, matrix.has_canonical_format
    return new


def _locked(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _locked_within(value: object) -> object:
    """A copy of nested dictionaries, whose arrays are shared and read-only."""
    if isinstance(value, dict):
        return {key: _locked_within(part) for key, part in value.items()}
    return _locked(value) if isinstance(value, np.ndarray) else value
