"""The genes that all slides have: which they are, and which slide costs the others their genes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from benchmark.core.errors import UnitBenchError

LEAST_KEPT = 0.5  # share of the largest panel: with less there is a warning


def common_genes(panels: Mapping[str, pd.Index]) -> pd.Index:
    """The genes of every panel, in the order of the first.

    Args:
        panels: the genes of each slide, by its name.

    Raises:
        UnitBenchError: there is none. The line has examples of both sides.
    """
    first, *rest = panels
    genes = panels[first]
    for name in rest:
        both = genes[genes.isin(panels[name])]
        if not len(both):
            raise UnitBenchError(
                f"slide {name}",
                f"no gene is in every slide: it has {_some(panels[name])}, those before it have {_some(genes)}",
                "use the same gene names in all slides",
            )
        genes = both
    return genes


def warning(panels: Mapping[str, pd.Index], genes: pd.Index) -> str:
    """A line that says how many genes are lost and by which slide, if they are more than half; else empty."""
    largest = max(map(len, panels.values()))
    if len(genes) >= LEAST_KEPT * largest:
        return ""
    count = Counter(gene for panel in panels.values() for gene in panel)
    others_have = pd.Index([gene for gene, n in count.items() if n == len(panels) - 1])
    cost = {name: int((~others_have.isin(panel)).sum()) for name, panel in panels.items()}
    worst = max(panels, key=lambda name: (cost[name], -len(panels[name])))
    return (
        f"warning: {len(genes):,} of up to {largest:,} genes are in every slide and kept; slide {worst}, with "
        f"{len(panels[worst]):,}, costs most: {len(genes) + cost[worst]:,} would be kept without it"
    )


def _some(genes: pd.Index) -> str:
    return ", ".join(genes[:3])
