"""Images from expression: diffusion and flow models, their weak pairs, token merging (after SPATIA, arXiv 2507.04704)."""
