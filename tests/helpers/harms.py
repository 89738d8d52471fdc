"""What is wrong with an input, and the ways to bring it about in a folder of good slides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import zarr

from tests.helpers.h5ad_folder import Folder, a_file

ZEROS = "0" * 64


class Bad(NamedTuple):
    """What is wrong; what the line says and what it tells to do, where `…` stands for anything; the place it names.

    `harm` changes a folder of the good slides one.h5ad and two.h5ad, and may return changes of the description.
    """

    what: str
    says: str
    do: str
    harm: Callable[[Folder], dict | None]
    where: str = "one.h5ad"


def described(**changes):
    """A changed description; a key whose value is `...` is left out."""
    return lambda folder: changes


def written(make, **changes):
    """Another file one.h5ad, and a changed description."""

    def harm(folder):
        folder.write("one.h5ad", make())
        return changes

    return harm


def with_counts(**values):
    """Some counts of the file, by their index "row_column"."""
    counts = np.ones((6, 3), dtype=np.float32)
    for place, value in values.items():
        counts[tuple(map(int, place[1:].split("_")))] = value
    return a_file(counts)


def with_obs(data=None, **columns):
    data = a_file() if data is None else data
    for name, value in columns.items():
        data.obs[name] = value
    return data


def with_spatial(spatial):
    data = a_file()
    data.obsm["spatial"] = spatial
    return data


def with_layer():
    data = with_counts(_2_1=0.5)
    data.layers["counts"] = np.ones((6, 3))
    return data


def with_raw():
    data = with_counts(_2_1=0.5)
    data.raw = a_file()
    return data


def without_counts():
    data = a_file()
    return ad.AnnData(obs=data.obs, var=data.var, uns=data.uns)


def renamed(axis):
    data = a_file()
    setattr(data, axis, ["x", "x", *getattr(data, axis)[2:]])
    return data


def damaged(change, make=a_file):
    """The file with its parts changed by h5py."""

    def harm(folder):
        folder.write("one.h5ad", make())
        with h5py.File(folder.path / "one.h5ad", "r+") as file:
            change(file)

    return harm


def sparse():
    return a_file(sp.csr_matrix(np.arange(18, dtype=np.float32).reshape(6, 3)))


def beyond(file):
    file["X/indices"][3] = 7


def falling(file):
    file["X/indptr"][2] = 9


def hollow(file):
    del file["X"]
    file.create_dataset("X", shape=(10_000_000, 1_000_000), dtype="f4", chunks=(1000, 1000)).attrs.update(
        {"encoding-type": "array", "encoding-version": "0.2.0"}
    )


def old(file):
    del file["obs"].attrs["encoding-type"]


def of_objects(file):
    del file["X"]
    file.create_dataset("X", data=np.full((6, 3), "1", dtype=object), dtype=h5py.string_dtype()).attrs.update(
        {"encoding-type": "string-array", "encoding-version": "0.2.0"}
    )


def only(name, content=b"x"):
    """A folder with this one file."""

    def harm(folder):
        for path in folder.path.iterdir():
            path.unlink()
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_bytes(content)

    return harm


def cut(folder):
    path = folder.path / "one.h5ad"
    path.write_bytes(path.read_bytes()[:-2000])


def linked_to_nothing(folder):
    (folder.path / "one.h5ad").unlink()
    (folder.path / "one.h5ad").symlink_to(folder.path / "gone.h5ad")


def also(name, make):
    return lambda folder: folder.write(name, make())


def unlabelled(folder):
    for name in ("one.h5ad", "two.h5ad"):
        folder.write(name, with_obs(layer=np.nan))


def of_other_genes():
    data = a_file()
    data.var_names = ["ENSG1", "ENSG2", "ENSG3"]
    return data


def with_table(*rows, **changes):
    """A table of labels beside the slides, and a description of it; a row is split at its blanks."""

    def harm(folder):
        (folder.path / "labels.csv").write_text("".join(",".join(row.split()) + "\n" for row in rows))
        return {"label": None, "label_table": LABELS | changes}

    return harm


def with_symbols(*rows, **changes):
    """A table of genes beside the description, and a description of it."""

    def harm(folder):
        (folder.describe.parent / "symbols.csv").write_text("id,symbol\n" + "".join(f"{row}\n" for row in rows))
        return {"genes": {"table": "symbols.csv", "from": "id", "to": "symbol"} | changes}

    return harm


def store(content):
    """A folder sdata.zarr with these groups."""

    def harm(folder):
        for name in ["", *content]:
            zarr.open_group(folder.path / "sdata.zarr" / name, mode="a")

    return harm


def altered_store(folder):
    folder.write("three.zarr", a_file())
    return {"files": {"three.zarr": ZEROS}}


def of_sections(*names):
    """Two files, whose spots are of these slides."""

    def harm(folder):
        for name in ("one.h5ad", "two.h5ad"):
            folder.write(name, with_obs(section=list(names)))
        return {"slide": {"obs": "section"}}

    return harm


def versioned():
    data = a_file()
    data.var_names = ["ENSG00000000001.1", "ENSG00000000001.2", "c"]
    return data


def in_a_table(*columns):
    data = a_file()
    return with_spatial(pd.DataFrame(data.obsm["spatial"], index=data.obs_names, columns=list(columns)))


LABELS = {"path": "labels.csv", "barcode": "spot", "label": "domain"}
RAMP = np.tile(np.linspace(0, 1, 60), (5, 1))


def many():
    """Thirty-six cells in one place."""
    data = ad.concat([a_file() for _ in range(6)], index_unique="-", merge="same", uns_merge="same")
    data.obs["layer"] = pd.Categorical(data.obs["layer"])
    return data
