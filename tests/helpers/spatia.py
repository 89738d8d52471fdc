"""Shared by the tests of SPATIA: a small tissue with images, a small size, and the arms."""

from benchmark.datasets.simulated import Simulated
from methods.spatia.presets import Size

MICRO = Size(16, 1, 2, 24, 2, 2, n_tokens=16, pixels=8, patch=4, learning_rate=4e-3, targets=8)
ARMS = {
    "A1 gene": {"levels": "gene"},
    "A2 image": {"levels": "image"},
    "A3 joined": {"levels": "cell", "cross_attention": False},
    "A4 cell": {"levels": "cell"},
    "A5 niche": {"levels": "cell-niche"},
    "A6 niche and its image": {"levels": "cell-niche_image"},
    "A7 tissue": {"levels": "cell-tissue"},
    "A8 full": {"levels": "cell-niche_image-tissue"},
    "gene-niche-tissue": {"levels": "gene-niche-tissue"},
    "image_to_gene": {"levels": "cell", "direction": "image_to_gene"},
    "gene_to_image": {"levels": "cell", "direction": "gene_to_image"},
    "no MAE": {"levels": "cell-niche", "mae": False},
    "mean of a window": {"levels": "cell-niche_image", "window": 250.0, "pooling": "mean"},
    "sum": {"levels": "cell-niche", "pooling": "sum"},
    "nothing crosses": {"levels": "cell", "w": 0.0},
    "mixed units": {"levels": "cell", "mixed_units": True},
}


def simulated(**options) -> Simulated:
    """Two slides of about 80 spots and 40 genes."""
    return Simulated(**{"n_donors": 2, "slides_per_donor": 1, "shape": (9, 9), "n_genes": 40, "depth": 200} | options)
