"""A folder of small `.h5ad` and `.zarr` slides with its description, for the tests of their reader."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import yaml

from benchmark.datasets.h5ad_folder import H5adFolder

DESCRIPTION = {
    "name": "two",
    "title": "Two small slides",
    "source": "made here",
    "licence": "none",
    "technology": "10x Visium",
    "label": "layer",
    "unlabelled": ["unsure"],
    "donor": {"uns": "donor"},
    "lattice": {"kind": "hex", "pitch": 100, "unit": "µm"},
}
BINNED = {"kind": "binned", "pitch": 10, "unit": "µm"}
PICTURE = {"stain": "H&E", "kind": "colour"}


def a_file(counts=None, **uns) -> ad.AnnData:
    """A row of six Visium spots and three genes."""
    counts = np.arange(18, dtype=np.float32).reshape(6, 3) if counts is None else counts
    obs = pd.DataFrame(
        {"array_row": 0, "array_col": np.arange(6) * 2, "layer": ["L1", "L1", "L2", "L2", "unsure", None]},
        index=[f"spot{i}" for i in range(6)],
    )
    data = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=["a", "b", "c"]))
    data.obsm["spatial"] = np.stack([np.arange(6) * 10.0, np.zeros(6)], axis=1)
    data.uns |= {"donor": "D1"} | uns
    return data


def pictured(pixels: np.ndarray, scale: float = 1.0) -> ad.AnnData:
    """The file with an image in scanpy's layout."""
    library = {"images": {"lowres": pixels}, "scalefactors": {"tissue_lowres_scalef": scale}}
    return a_file(spatial={"library": library})


class Folder:
    """A folder of slides and its description. `read(**changes)` reads it with a changed description."""

    def __init__(self, path):
        self.path, self.describe = path / "slides", path / "two.yaml"
        self.path.mkdir()

    def write(self, name, data, zarr_format=3):
        (self.path / name).parent.mkdir(exist_ok=True)
        with warnings.catch_warnings(), ad.settings.override(zarr_write_format=zarr_format):
            warnings.simplefilter("ignore")  # of what will be the default in a later release
            (data.write_zarr if name.endswith(".zarr") else data.write_h5ad)(self.path / name)

    def dataset(self, **changes):
        values = DESCRIPTION | {"folder": str(self.path)} | changes
        self.describe.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not ...}))
        return H5adFolder(describe=self.describe)

    def read(self, **changes):
        return list(self.dataset(**changes).slides())
