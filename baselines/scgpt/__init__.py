"""scGPT (Cui et al. 2024, Nature Methods 21) and scGPT-spatial, pretrained on the benchmark's own corpus."""
