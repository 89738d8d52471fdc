"""SPATIA (arXiv 2507.04704): a cell's image and expression fused by cross-attention, then its niche, then its tissue."""
