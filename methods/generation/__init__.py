"""Images from expression: diffusion and flow models, weak pairs, token merging (after SPATIA, arXiv 2507.04704)."""
