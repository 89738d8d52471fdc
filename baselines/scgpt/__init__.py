"""scGPT and scGPT-spatial: their model, losses and checkpoints."""
