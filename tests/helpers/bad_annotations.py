"""Donors, labels and images that are refused."""

import numpy as np

from tests.helpers.h5ad_folder import PICTURE, a_file, pictured
from tests.helpers.harms import LABELS, RAMP, Bad, described, unlabelled, with_obs, with_table, written

ANNOTATIONS = [
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
]
