"""Slides and what is read off them: lattice, corpus, splits, tiles of images, normalisation, neighbours, genes."""
