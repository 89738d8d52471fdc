"""The random model of simulated tissue: cell types, domains, their layout on a slide, and noisy counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DOMAINS = ("tumour", "stroma", "immune", "adipose", "gland", "muscle", "nerve", "vessel")
CELL_TYPES = (
    "epithelial", "fibroblast", "T cell", "macrophage", "B cell", "endothelial",
    "adipocyte", "myocyte", "plasma cell", "mast cell", "glia", "pericyte",
)  # fmt: skip
DOMAIN_WIDTH = 3.0  # standard deviation of the smoothing of the random fields, in pitches
LEAD = 0.35  # share of a domain's mixture that goes to its leading cell type
MARKERS = 0.1  # share of genes that a cell type raises
LOG_FOLD = 1.5  # mean rise of a marker gene, natural log


class Biology(NamedTuple):
    """What all donors share.

    expression: share of each gene in a cell type's counts, `[n_cell_types, n_genes]`.
    mixture: share of each cell type in a domain's cells, `[n_domains, n_cell_types]`.
    """

    expression: np.ndarray
    mixture: np.ndarray


def draw_biology(n_genes: int, n_cell_types: int, n_domains: int, rng: np.random.Generator) -> Biology:
    """Cell types that differ in their marker genes, and domains that differ in their mixture of cell types."""
    base = rng.normal(0, 1, size=n_genes)
    marker = rng.random((n_cell_types, n_genes)) < MARKERS
    expression = np.exp(base + marker * rng.exponential(LOG_FOLD, size=marker.shape))
    # Mixtures overlap: every domain has some cells of every type, and one type leads.
    mixture = rng.dirichlet(np.full(n_cell_types, 5.0), size=n_domains)
    leader = np.eye(n_cell_types)[np.arange(n_domains) % n_cell_types]
    mixture = (1 - LEAD) * mixture + LEAD * leader
    return Biology(expression / expression.sum(axis=1, keepdims=True), mixture)


def layout(shape: tuple[int, int], share: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Domain of each lattice cell, int `[rows, columns]`: the greatest of smooth random fields, one for each domain.

    The offsets of the fields are moved until the domains have about their shares of the slide, `[n_domains]`.

    Args:
        kind: of the lattice, "square" or "hex".
    """
    from scipy.ndimage import gaussian_filter  # slow to import, and most commands draw no tissue

    rows_a_pitch = 2 / np.sqrt(3) if kind == "hex" else 1.0
    noise = rng.normal(size=(len(share), *shape))
    field = gaussian_filter(noise, sigma=(0, DOMAIN_WIDTH * rows_a_pitch, DOMAIN_WIDTH))
    field /= field.std(axis=(1, 2), keepdims=True)
    offset = np.zeros(len(share))
    for _ in range(100):
        domain = (field + offset[:, None, None]).argmax(axis=0)
        offset += share - np.bincount(domain.ravel(), minlength=len(share)) / domain.size
    return domain


def negative_binomial(mean: np.ndarray, dispersion: float, rng: np.random.Generator) -> np.ndarray:
    """Counts with variance mean + dispersion * mean**2: a Poisson variable whose rate is gamma-distributed."""
    return rng.poisson(rng.gamma(1 / dispersion, mean * dispersion))
