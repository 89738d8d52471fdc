"""Pure functions of arrays: agreement of labels, of expression, of image sets, and the shape of nuclei."""
