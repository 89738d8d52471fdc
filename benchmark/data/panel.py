"""Genes of slides with different panels: their union, which of them a slide has measured, and too small an overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.data.normalisation import hide

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

LEAST_SHARED = 10  # genes that a slide shares with those before it, or half of its own genes if that is fewer
FEW_COMMON = 0.5  # share of the largest panel: if fewer genes are in every slide, there is a warning


def measured(slide: ad.AnnData) -> np.ndarray:
    """Which genes were measured on the slide, bool `[n_genes]`: var["measured"], or all. The others have no counts."""
    if "measured" in slide.var:
        return slide.var["measured"].to_numpy(bool, copy=True)
    return np.ones(slide.n_vars, dtype=bool)


def without(slide: ad.AnnData, hidden: np.ndarray) -> ad.AnnData:
    """A copy of the slide on which the genes `hidden`, int `[n_hidden]`, were not measured: nothing tells of them."""
    copy = slide.copy()
    copy.X = hide(slide.X, hidden)
    if "library_size" in copy.obs:
        copy.obs["library_size"] -= np.asarray((slide.X - copy.X).sum(axis=1)).ravel()
    has = measured(slide)
    has[hidden] = False
    copy.var["measured"] = has
    return copy


def union(panels: Mapping[str, pd.Index]) -> pd.Index:
    """The genes of all panels, in the order in which they first come.

    Args:
        panels: the genes of each slide, by its name.

    Raises:
        UnitBenchError: a slide shares hardly a gene with those before it. The line has examples of both sides.
    """
    import pandas as pd  # slow to import, and training does without

    first, *rest = panels
    genes, known = list(panels[first]), set(panels[first])
    for name in rest:
        new = [gene for gene in panels[name] if gene not in known]
        if (shared := len(panels[name]) - len(new)) < min(LEAST_SHARED, len(panels[name]) / 2):
            raise UnitBenchError(
                f"slide {name}",
                f"{shared} of its {len(panels[name])} genes are in the slides before it: it has {_some(new)}, "
                f"they have {_some(genes)}",
                "use the same gene names in all slides: symbols or Ensembl ids",
            )
        genes += new
        known.update(new)
    return pd.Index(genes)


def warning(panels: Mapping[str, pd.Index]) -> str:
    """A line that says how few genes every slide has, and which slide lacks most, if they are few; else empty."""
    largest = max(map(len, panels.values()))
    common = set.intersection(*map(set, panels.values()))
    if len(common) >= FEW_COMMON * largest:
        return ""
    least = min(panels, key=lambda name: len(panels[name]))
    return (
        f"warning: {len(common):,} genes are in every slide, of up to {largest:,} in a slide; the fewest, "
        f"{len(panels[least]):,}, are in slide {least}. Methods that need the same genes in all slides have those only"
    )


def _some(genes: list[str]) -> str:
    return ", ".join(map(str, genes[:3]))
