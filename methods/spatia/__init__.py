"""SPATIA (arXiv 2507.04704): image and expression of a spot fused by cross-attention, its niche and its tissue."""
