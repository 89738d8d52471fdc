"""The patch unit as a method, with its options and its backbones, and the patch unit as it was released."""
