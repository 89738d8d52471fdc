"""SPATIA (arXiv 2507.04704): image and expression of a cell fused by cross-attention, its niche, its tissue."""
