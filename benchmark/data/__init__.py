"""Slides and what is computed from them: lattice, corpus, splits, image tiles, normalisation, neighbours, genes."""
