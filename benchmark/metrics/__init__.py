"""Pure functions of arrays: agreement of labels, of expression and of image sets, and the shape of nuclei."""
