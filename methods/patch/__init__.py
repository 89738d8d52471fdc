"""The patch unit as a method: its options, its backbones, and its preset as released."""
