"""Files and descriptions that are refused."""

from tests.helpers.h5ad_folder import BINNED, a_file
from tests.helpers.harms import (
    ZEROS,
    Bad,
    also,
    altered_store,
    cut,
    damaged,
    described,
    hollow,
    linked_to_nothing,
    of_sections,
    old,
    only,
    store,
)

FILES = [
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
]

DESCRIPTIONS = [
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
