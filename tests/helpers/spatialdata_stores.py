"""Small stores of SpatialData and their description, for the tests of their reader."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.datasets.spatialdata import SpatialData

DESCRIPTION = {"name": "stores", "donor": {"one": "D1"}, "lattice": {"kind": "binned", "pitch": 10, "unit": "µm"}}
BRIGHT = np.arange(3 * 40 * 60, dtype=np.uint8).reshape(3, 40, 60)


def package():
    """The library; the test is skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            "spatialdata", reason="spatialdata is not installed: pip install -e '.[spatialdata]'"
        )


def table(n=6, **columns):
    """Spots 10, 11, … of the region `cells`, with three genes."""
    obs = pd.DataFrame({"region": ["cells"] * n, "cell": np.arange(10, 10 + n)} | columns)
    obs.index = [f"c{i}" for i in range(n)]
    obs["region"] = obs["region"].astype("category")
    return ad.AnnData(np.arange(3.0 * n).reshape(n, 3), obs=obs, var=pd.DataFrame(index=["A", "B", "C"]))


def circles(n=6, **transformations):
    """Circles 10 apart along x, at y = 5."""
    library = package()
    here = {"global": library.transformations.Identity()} | transformations
    places = np.stack([np.arange(n) * 10.0 + 5, np.full(n, 5.0)], axis=1)
    index = pd.Index(np.arange(10, 10 + n))
    return library.models.ShapesModel.parse(places, geometry=0, radius=3, index=index, transformations=here)


def picture(values=BRIGHT, levels=(2,), **names):
    """An image `[c, y, x]` with a pyramid."""
    return package().models.Image2DModel.parse(values, dims=("c", "y", "x"), scale_factors=list(levels), **names)


class Stores:
    """A folder of stores and its description. `read(**changes)` reads it with a changed description."""

    def __init__(self, path):
        self.path, self.describe, self.library = path / "stores", path / "stores.yaml", package()
        self.path.mkdir()

    def write(self, name="one", tables=None, **elements):
        """A store of the table, the circles, and other elements."""
        models = self.library.models
        parsed = {
            key: models.TableModel.parse(
                data, region=list(data.obs["region"].cat.categories), region_key="region", instance_key="cell"
            )
            for key, data in (tables or {"table": table()}).items()
        }
        elements = {"shapes": {"cells": circles()}} | elements
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.library.SpatialData(tables=parsed, **elements).write(self.path / f"{name}.zarr", overwrite=True)

    def dataset(self, **changes):
        values = DESCRIPTION | {"folder": str(self.path)} | changes
        self.describe.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not ...}))
        return SpatialData(describe=self.describe)

    def read(self, **changes):
        return list(self.dataset(**changes).slides())
