"""scGPT and scGPT-spatial: their model, losses and checkpoints, their samples and how they are pretrained here."""
