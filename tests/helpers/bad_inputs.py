"""Slides and descriptions that are refused: what is wrong, how it comes about, and what the line says.

docs/own_data.md has a table of them; `tests/datasets/test_bad_inputs.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import zarr

from tests.helpers.h5ad_folder import BINNED, PICTURE, Folder, a_file, pictured

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
BAD = [
    # Files
    Bad(
        "a folder without slides",
        "no .h5ad or .zarr slides; it has 1 .h5",
        "give .h5ad or .zarr slides",
        only("one.h5"),
        "slides",
    ),
    Bad(
        "slides in subfolders alone",
        "1 in its subfolders, which are read if `files` lists them",
        "correct `folder`",
        only("deep/one.h5ad"),
        "slides",
    ),
    Bad(
        "a listed file of another kind",
        "'one.h5' in `files` is no .h5ad or .zarr",
        "convert it to .h5ad",
        described(files={"one.h5": ZEROS}),
        "two.yaml",
    ),
    Bad(
        "a listed file that is not there",
        "file not found",
        "restore it or correct `files`",
        described(files={"gone.h5ad": ZEROS}),
        "gone.h5ad",
    ),
    Bad("a link that leads nowhere", "broken link", "restore it or correct `files`", linked_to_nothing),
    Bad(
        "a file that is not the one described",
        "altered: sha256 differs from the record",
        "replace it or delete it",
        described(files={"one.h5ad": ZEROS}),
    ),
    Bad(
        "a checksum that is none",
        "files.one.h5ad: String should match pattern",
        "correct it",
        described(files={"one.h5ad": "12"}),
        "two.yaml",
    ),
    Bad("a file that was cut off", "cannot be read (…truncated", "replace it", cut),
    Bad("a file that is no HDF5", "cannot be read (…signature not found", "replace it", only("one.h5ad")),
    Bad(
        "a file that declares far more than it holds",
        "X declares 10,000,000 × 1,000,000 values, and the file stores 0 bytes of them",
        "replace it",
        damaged(hollow),
    ),
    Bad(
        "a file of an old anndata",
        "written by anndata before 0.7",
        "read it with anndata, and write it again",
        damaged(old),
    ),
    Bad(
        "a store that is not the one described",
        "altered: sha256 differs from the record",
        "replace it or delete it",
        altered_store,
        "three.zarr",
    ),
    Bad(
        "a `.zarr` folder that is no store",
        "cannot be read (",
        "replace it",
        lambda f: (f.path / "a.zarr").mkdir(),
        "a.zarr",
    ),
    Bad(
        "a store of SpatialData",
        "no AnnData: it has …tables, and no obs",
        "read it with the dataset `spatialdata`",
        store(["tables"]),
        "sdata.zarr",
    ),
    # Several slides in a file
    Bad(
        "a column of slides that is not there",
        "slides are not named: no obs['sample']",
        "columns: array_row, array_col, layer",
        described(slide={"obs": "sample"}),
    ),
    Bad(
        "spots without a slide",
        "2 spot(s) have no slide in obs['section']",
        "drop those spots, or name their slide",
        of_sections("a", "a", "b", "b", "nan", None),
    ),
    Bad(
        "a slide that lies in two files",
        "'one.h5ad' and 'two.h5ad' both hold a slide 'a'",
        "rename one",
        of_sections("a", "a", "a", "b", "b", "b"),
        "two.yaml",
    ),
    Bad(
        "a slide of a file whose name is reserved",
        "the slide's name 'all' is reserved",
        "rename the slide",
        of_sections("a", "a", "a", "all", "all", "all"),
        "one.h5ad: obs['section']",
    ),
    # Names
    Bad(
        "two files that would be one slide",
        "'a/one.h5ad' and 'b/one.h5ad' would both be slide 'one'",
        "rename one",
        described(files={"a/one.h5ad": ZEROS, "b/one.h5ad": ZEROS}),
        "two.yaml",
    ),
    Bad(
        "slides whose names differ in case alone",
        "differs from slide 'One' in case alone",
        "rename one slide",
        described(files={"One.h5ad": ZEROS, "a/one.h5ad": ZEROS}),
        "slide 'one'",
    ),
    Bad(
        "a slide with a reserved name: `pooled`, `file`, `all`, and Windows's, such as `con`",
        "the slide's name 'pooled' is reserved",
        "rename the slide (its file)",
        also("pooled.h5ad", a_file),
        "pooled.h5ad",
    ),
    Bad(
        "a slide's name that is no name of a file everywhere",
        "the slide's name 'a:b' has ':'",
        "rename the slide (its file)",
        also("a:b.h5ad", a_file),
        "a:b.h5ad",
    ),
    # Counts
    Bad("no counts", "no counts: X is empty", "put the raw counts into X", written(without_counts)),
    Bad(
        "a layer that is not there",
        "no counts: there is no layers/raw_counts",
        "correct `counts`",
        described(counts="layers/raw_counts"),
    ),
    Bad("scaled values", "negative counts (least -3)", "give raw counts", written(lambda: with_counts(_2_1=-3))),
    Bad(
        "normalised values",
        "counts are not whole numbers",
        "give raw counts",
        written(lambda: with_counts(_2_1=0.5)),
    ),
    Bad(
        "normalised values in `X`, and counts in a layer",
        "counts are not whole numbers",
        "layers/counts holds whole numbers: set `counts: layers/counts`",
        written(with_layer),
    ),
    Bad(
        "normalised values in `X`, and counts in `raw`",
        "counts are not whole numbers",
        "raw holds whole numbers: set `counts: raw`",
        written(with_raw),
    ),
    Bad("missing values", "NaN or infinite counts", "give raw counts", written(lambda: with_counts(_2_1=np.nan))),
    Bad("nothing but zeros", "every count is 0", "give raw counts", written(lambda: a_file(np.zeros((6, 3))))),
    Bad("counts that are text", "counts are of the type …, not numbers", "give raw counts", damaged(of_objects)),
    Bad(
        "a sparse matrix whose indices lie beyond its shape",
        "the sparse counts are damaged (…",
        "write the file again",
        damaged(beyond, sparse),
    ),
    Bad(
        "a sparse matrix whose rows do not follow one another",
        "the sparse counts are damaged (…",
        "write the file again",
        damaged(falling, sparse),
    ),
    Bad(
        "such a matrix of which some rows are asked",
        "cannot be read (the sparse counts are damaged: indptr does not fit indices",
        "replace it",
        damaged(falling, lambda: with_obs(sparse(), in_tissue=[1, 1, 0, 0, 1, 1])),
    ),
    Bad("one spot", "1 spot(s)", "a slide needs at least 2", written(lambda: a_file()[:1].copy())),
    Bad(
        "no spot on the tissue",
        "0 spots",
        "a slide needs at least 2",
        written(lambda: with_obs(sparse(), in_tissue=[0] * 6)),
    ),
    Bad("two spots of one name", "duplicate spot 'x'", "make the spot names", written(lambda: renamed("obs_names"))),
    Bad("two genes of one name", "duplicate gene 'x'", "make the gene names", written(lambda: renamed("var_names"))),
    Bad(
        "a column of gene names that is not there",
        "no var['symbol'], which `genes.column` names",
        "known: none",
        described(genes={"column": "symbol"}),
    ),
    Bad(
        "ids that differ in their version alone",
        "genes 'ENSG00000000001.1' and 'ENSG00000000001.2' would both be 'ENSG00000000001' without version",
        "leave out one of them",
        written(versioned, genes={"strip_versions": True}),
    ),
    Bad(
        "a table of genes whose columns are not named",
        "`genes.to` names no column",
        "name one of: id, symbol",
        with_symbols("a,A", to=None),
        "symbols.csv",
    ),
    Bad(
        "a table with two names for a gene",
        "'a' has two names, 'A' and 'B'",
        "leave one row for each gene",
        with_symbols("a,A", "a,B"),
        "symbols.csv",
    ),
    Bad(
        "a table of other genes",
        "no gene is in the table …symbols.csv: the slide has a, b, c, the table's column 'id' ENSG1, ENSG2",
        "correct `genes.from`",
        with_symbols("ENSG1,A", "ENSG2,B"),
    ),
    Bad(
        "a key of `genes` that is not known",
        "unknown key 'genes.form'",
        "did you mean 'from'?",
        with_symbols("a,A", form="id"),
        "two.yaml",
    ),
    Bad(
        "columns of a table of genes without the table",
        "genes: `from` and `to` are columns of `table`",
        "correct it",
        described(genes={"from": "id"}),
        "two.yaml",
    ),
    Bad(
        "slides that name genes differently",
        "no gene is in every slide: it has a, b, c, those before it have ENSG1, ENSG2, ENSG3",
        "use the same gene names in all slides",
        written(of_other_genes),
        "slide two",
    ),
    # Positions
    Bad(
        "a column of positions that is not there",
        "positions are missing: no obs['y']",
        "columns: array_row, array_col, layer",
        described(lattice={"kind": "square", "row": "y", "pitch": 1, "unit": "µm"}),
    ),
    Bad(
        "a key of positions that is not there",
        "positions are missing: no obsm['spatail']",
        "did you mean 'spatial'?",
        described(lattice=BINNED | {"spatial": "spatail"}),
    ),
    Bad(
        "spots without a position",
        "positions are missing: 1 spot(s) have none",
        "drop those spots, or give their positions",
        written(lambda: with_obs(array_row=[0, 0, 0, np.nan, 0, 0])),
    ),
    Bad(
        "positions that are words",
        "positions are no numbers: 'left' in obs['array_row']",
        "give numbers",
        written(lambda: with_obs(array_row=["0", "0", "left", "0", "0", "0"])),
    ),
    Bad(
        "positions in one dimension",
        "positions are missing: obsm['spatial'] has one column",
        "give x and y",
        written(lambda: with_spatial(np.ones((6, 1))), lattice=BINNED),
    ),
    Bad(
        "positions in a table whose columns are not x and y",
        "obsm['spatial'] is a table without a column 'x'",
        "name those of x and y in `lattice.axes`: across, down",
        written(lambda: in_a_table("across", "down"), lattice=BINNED),
    ),
    Bad(
        "a column of such a table that is not there",
        "obsm['spatial'] is a table without a column 'acros'",
        "did you mean 'across'?",
        written(lambda: in_a_table("across", "down"), lattice=BINNED | {"axes": ["acros", "down"]}),
    ),
    Bad(
        "names of columns for an array, which has none",
        "obsm['spatial'] is an array, whose columns have no names such as 'x'",
        "leave `lattice.axes` out",
        described(lattice=BINNED | {"axes": ["x", "y"]}),
    ),
    Bad(
        "a column for x and none for y",
        "lattice: `x` and `y` go together",
        "correct it",
        described(lattice=BINNED | {"x": "array_col"}),
        "two.yaml",
    ),
    Bad(
        "positions in two places",
        "lattice: positions are in `spatial`, or in `x` and `y`",
        "correct it",
        described(lattice=BINNED | {"x": "array_col", "y": "array_row", "spatial": "spatial"}),
        "two.yaml",
    ),
    Bad(
        "a scale for the indices of an array",
        "lattice: `scale` is of the kind `binned`: hex takes `row` and `column`",
        "correct it",
        described(lattice={"kind": "hex", "pitch": 100, "unit": "µm", "scale": 0.5}),
        "two.yaml",
    ),
    Bad(
        "`hex` for an array that is not Visium's",
        "row + column is odd for some spots and even for others",
        "give array_row and array_col",
        written(lambda: with_obs(array_col=np.arange(6))),
    ),
    Bad(
        "one spot far off",
        "1 spot(s) lie far off, such as number 6 at …",
        "correct their positions, or drop them",
        written(lambda: with_obs(array_row=[0, 0, 0, 0, 0, 100_000_000])),
    ),
    Bad(
        "a pitch that is far too small",
        "the pitch is 1e-08 µm, and neighbours are 14.1421 µm apart",
        "correct the pitch, or the unit",
        written(lambda: with_spatial(np.arange(12).reshape(6, 2) * 5.0 + 0.5), lattice=BINNED | {"pitch": 1e-8}),
    ),
    Bad(
        "a pitch that is far too large",
        "1 × 1 cells, 1 of them filled, for 36 spots",
        "correct the pitch, or the unit",
        written(lambda: many(), lattice=BINNED | {"pitch": 1e6}),
    ),
    # Donors and labels
    Bad(
        "a donor that is not where the description says",
        "no donor: 'doner' is not in its uns",
        "did you mean 'donor'?",
        described(donor={"uns": "doner"}),
    ),
    Bad(
        "a donor for the whole folder",
        "give {uns: KEY}, {obs: COLUMN}, or a value for each slide",
        "correct it",
        described(donor="D1"),
        "two.yaml",
    ),
    Bad(
        "a donor that is missing",
        "the donor is missing ('nan')",
        "give every slide a donor",
        written(lambda: with_obs(mouse=np.nan), donor={"obs": "mouse"}),
    ),
    Bad("an empty donor", "the donor is missing ('')", "give every slide a donor", written(lambda: a_file(donor=" "))),
    Bad(
        "several donors in one file",
        "2 values of donor in obs['mouse']",
        "give one slide in each file",
        written(lambda: with_obs(mouse=list("aaabbb")), donor={"obs": "mouse"}),
    ),
    Bad(
        "a donor with a reserved name",
        "the donor 'all' is reserved",
        "rename the donor",
        written(lambda: a_file(donor="all")),
    ),
    Bad(
        "donors that differ in case alone",
        "differs from donor 'D1' in case alone",
        "rename one donor",
        described(donor={"one": "D1", "two": "d1"}),
        "donor 'd1'",
    ),
    Bad(
        "a column of labels that no slide has",
        "no slide has a label in obs['domain']",
        "columns of two.h5ad: array_row, array_col, layer",
        described(label="domain"),
        "two.yaml",
    ),
    Bad(
        "a column without any label",
        "no slide has a label in obs['layer']",
        "correct it, or leave it out",
        unlabelled,
        "two.yaml",
    ),
    # Labels in a table
    Bad(
        "a table of labels that is not there",
        "file not found",
        "restore it, or correct the path",
        described(label=None, label_table=LABELS),
        "labels.csv",
    ),
    Bad(
        "a table of another kind",
        "a table of the kind '.xlsx' is not read",
        "give .csv, .tsv or .parquet",
        lambda folder: (
            (folder.path / "labels.xlsx").write_bytes(b"x")
            and {"label": None, "label_table": LABELS | {"path": "labels.xlsx"}}
        ),
        "labels.xlsx",
    ),
    Bad(
        "a damaged table",
        "cannot be read (",
        "replace it",
        lambda folder: (
            (folder.path / "labels.parquet").write_bytes(b"x")
            and {"label": None, "label_table": LABELS | {"path": "labels.parquet"}}
        ),
        "labels.parquet",
    ),
    Bad(
        "a table of labels whose columns are not named",
        "`label_table.label` names no column",
        "name one of: spot, domain, cluster",
        with_table("spot domain cluster", "spot0 L1 1", label=None),
        "labels.csv",
    ),
    Bad(
        "a column that the table of labels lacks",
        "no column 'spots', which `label_table.barcode` names",
        "did you mean 'spot'?",
        with_table("spot domain", "spot0 L1", barcode="spots"),
        "labels.csv",
    ),
    Bad(
        "a table of labels of other spots",
        "no spot is in the table, which has the barcodes AAAC-1, AAAG-1, and the data have spot0, spot1, spot2",
        "make the barcodes of both alike",
        with_table("spot domain", "AAAC-1 L1", "AAAG-1 L2"),
        "labels.csv",
    ),
    Bad(
        "a slide none of whose spots is in its rows of the table",
        "slide one: no spot is in the table, which has the barcodes spot0-1, and the data have spot0, spot1, spot2",
        "make the barcodes of both alike",
        with_table("spot domain section", "spot0-1 L1 one", "spot0 L1 two", slide="section"),
        "labels.csv",
    ),
    Bad(
        "a table of labels of other slides",
        "no slide is in the table, which has the slides s1, s2, and the data have one, two",
        "make the slides of both alike",
        with_table("spot domain section", "spot0 L1 s1", "spot0 L1 s2", slide="section"),
        "labels.csv",
    ),
    Bad(
        "a spot with two labels in the table",
        "barcode 'spot0' has two labels, 'L1' and 'L2'",
        "leave one row for each spot",
        with_table("spot domain section", "spot0 L1 one", "spot0 L2 one", slide="section"),
        "labels.csv",
    ),
    Bad(
        "a barcode that two slides have, and a table that does not name them",
        "barcode 'spot0' is in the slides 'one' and 'two'",
        "name its column of slides in `label_table.slide`",
        with_table("spot domain", "spot0 L1"),
        "labels.csv",
    ),
    Bad(
        "a table without any label",
        "no slide has a label in this table",
        "correct `label_table.label`, or `unlabelled`",
        with_table("spot domain section", "spot0 NA one", "spot1 unsure two", slide="section"),
        "labels.csv",
    ),
    Bad(
        "labels in two places",
        "labels come from `label` or from `label_table`",
        "correct it",
        described(label_table=LABELS),
        "two.yaml",
    ),
    # Images
    Bad("no image", "no lowres image in uns['spatial']", "drop `image`", described(image=PICTURE)),
    Bad(
        "an image of another shape",
        "the image is uint8 [5, 60, 2]",
        "give [h, w], [h, w, 3] or [h, w, 4]",
        written(lambda: pictured(np.zeros((5, 60, 2), np.uint8)), image=PICTURE),
    ),
    Bad(
        "an image with values out of range",
        "the image is float64 [5, 60] with values from -1 to 1",
        "give values of 0 to 255, or floats of 0 to 1",
        written(lambda: pictured(RAMP * 2 - 1), image=PICTURE),
    ),
    Bad(
        "an image that is too large",
        "the image has 20000 × 9000 pixels, at most 178,956,970",
        "scale the image down",
        written(lambda: pictured(np.zeros((9000, 20000), np.uint8)), image=PICTURE),
    ),
    Bad(
        "an image without a scale",
        "the image has scale 0, and neighbouring spots are 10 pixels apart",
        "correct the scale factor",
        written(lambda: pictured(RAMP, scale=0.0), image=PICTURE),
    ),
    # The description
    Bad(
        "keys that are missing",
        "key(s) missing: title, licence, lattice.unit",
        "add them; the keys are in docs/own_data.md",
        described(title=..., licence=..., lattice={"kind": "hex", "pitch": 1}),
        "two.yaml",
    ),
    Bad(
        "a key that is not known", "unknown key 'lable'", "did you mean 'label'?", described(lable="layer"), "two.yaml"
    ),
    Bad(
        "a value that is not known",
        "lattice.kind: Input should be 'square', 'hex' or 'binned'",
        "correct it",
        described(lattice=BINNED | {"kind": "hexagon"}),
        "two.yaml",
    ),
    Bad(
        "a column that cannot be kept",
        "'label' cannot be kept",
        "correct it",
        described(keep=["label"]),
        "two.yaml",
    ),
    Bad(
        "a folder that is not there",
        "no folder /nowhere",
        "set UNITBENCH_DATA",
        described(folder="/nowhere"),
        "two.yaml",
    ),
]


def many():
    """Thirty-six cells in one place."""
    data = ad.concat([a_file() for _ in range(6)], index_unique="-", merge="same", uns_merge="same")
    data.obs["layer"] = pd.Categorical(data.obs["layer"])
    return data
