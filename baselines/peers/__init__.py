"""Peers: published methods, each by a package of its authors or their successors. Nothing of their code is here."""
