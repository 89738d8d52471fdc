"""The report: score rows → one HTML page that opens from disk with no network, and the picture of the README."""
