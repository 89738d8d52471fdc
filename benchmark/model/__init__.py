"""The model that all units share: trunk, embeddings of genes, values and positions, and reconstruction head."""
