"""MERSCOPE: cells by the polygons of a folder drawn by hand and of real tissue."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.core.errors import UnitBenchError
from benchmark.data.tiles import View, cut
from benchmark.datasets.merscope import Merscope
from tests.helpers.cell_folders import Folder, box
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data

DESCRIPTIONS = CONFIG / "datasets"


@pytest.fixture
def merscope(tmp_path, monkeypatch):
    """An image of 40 × 60 µm whose corner is (100, 200); cell "a" in both planes, "b" in one, "c" beyond the image."""
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path))
    about = {
        "name": "section",
        "transcripts": "transcripts.gz",
        "polygons": {0: "z0.gz", 1: "z1.gz"},
        "y_axis": "up",
        "corner": [100, 200],
        "size": [80, 120],
        "images": {"DAPI": {"stain": "DAPI", "path": "dapi.png"}},
    }
    folder = Folder(tmp_path, Merscope, about)
    points = [(112, 212, 0, "A"), (112, 212, 0, "Blank-1"), (113, 211, 1, "B"), (121, 221, 1, "A"), (121, 221, 0, "A")]
    table = pd.DataFrame(points, columns=["global_x", "global_y", "global_z", "gene"])
    folder.write("transcripts.gz", lambda path: table.to_csv(path, index=False, compression="gzip"))
    planes = {0: {"a": box(110, 210)}, 1: {"a": box(111, 210), "b": box(120, 220), "c": box(90, 210)}}
    for z, cells in planes.items():
        rows = [(x, -y, name) for name, corners in cells.items() for x, y in corners]
        corners = pd.DataFrame(rows, columns=["x", "y", "poly_ID"])
        folder.write(f"z{z}.gz", lambda path, c=corners: c.to_csv(path, index=False, compression="gzip"))
    grey = np.zeros((120, 80), np.uint8)
    grey[20:30, 20:30] = grey[40:50, 40:50] = 220
    folder.write("dapi.png", Image.fromarray(grey).save)
    return folder


def test_transcripts_count_in_the_polygons_of_their_plane(merscope):
    (slide,) = merscope.read()
    assert slide.obs["cell_ID"].tolist() == ["a", "b"] and slide.var_names.tolist() == ["A", "B"]
    assert slide.X.toarray().tolist() == [[1, 1], [1, 0]]
    assert slide.obsm["pixel"].tolist() == [[25, 24], [44, 44]]  # a: the mean of its planes, (12.5, 12) µm
    assert slide.uns["join"] == {
        "cells_beyond_the_image": 1, "transcripts_outside_cells": 1, "transcripts_of_control_probes": 1
    }  # fmt: skip
    tile = cut(slide, View(2, 4))
    assert tile.shape == (2, 4, 4, 3) and (tile == 220).all()


def test_polygons_elsewhere_than_their_transcripts_are_refused(merscope):
    with pytest.raises(UnitBenchError, match=r"0 of 5 transcripts lie in a cell.*correct `y_axis`"):
        merscope.read(y_axis="down")
    with pytest.raises(UnitBenchError, match="plane 1 has no polygons"):
        merscope.read(polygons={0: "z0.gz"})


@needs_data
def test_merscope_has_505_cells_on_their_nuclei(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    (slide,) = Merscope(describe=DESCRIPTIONS / "merscope_brain_mini.yaml").slides()
    assert slide.shape == (505, 450) and slide.X.sum() == 32_328
    assert slide.uns["join"]["transcripts_outside_cells"] == 47_849
    assert 32_328 + 47_849 + slide.uns["join"]["transcripts_of_control_probes"] == 80_343
    tiles = cut(slide, View(20, 32))
    assert (tiles.reshape(505, -1).std(axis=1) > 1).sum() >= 504
    assert tiles[:, 12:20, 12:20].mean() > 1.3 * tiles[:, [0, 31]].mean()
