"""Xenium: single cells of a folder `outs`, or of its matrix and its table of cells alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from benchmark.core.errors import UnitBenchError
from benchmark.data.lattice import binned
from benchmark.datasets.sample_description import SampleDescription
from benchmark.datasets.samples import Sample, SampleFolder, placed
from benchmark.datasets.tenx import ONE_RUN, find, of_barcodes, read_matrix, read_rows

LEAST_ALIKE = 0.9  # correlation of the counts of the cells in the matrix and in the table


class XeniumDescription(SampleDescription):
    """The keys of every reader, and the lattice's pitch."""

    technology: ClassVar = "10x Xenium, single cells"
    pitch: float = Field(default=10, gt=0, description="Side of a cell of the lattice in µm, about a cell.")


class Xenium(SampleFolder):
    """Cells of Xenium, described by a short YAML file such as config/datasets/xenium_mouse_brain.yaml."""

    kind: ClassVar = XeniumDescription

    def parts(self, name: str) -> dict[str, Path]:
        folder = self.place(name)
        return {
            "matrix": find(folder, "cell_feature_matrix.h5", "cell_feature_matrix"),
            "cells": find(folder, "cells.parquet", "cells.csv.gz", "cells.csv"),
        }

    def load(self, parts: Mapping[str, Path]) -> Sample:
        """Cells at their centres in µm. Images are left alone: their names and codecs differ from version to version.

        Raises:
            UnitBenchError: a file is damaged, or the two do not have the same cells.
        """
        data, noted = read_matrix(parts["matrix"])
        rows = read_rows(parts["cells"], ["cell_id", "x_centroid", "y_centroid"], ["transcript_counts"])
        cells = of_barcodes(rows, data.obs_names, parts["cells"], parts["matrix"])
        check_alike(np.asarray(data.X.sum(axis=1)).ravel(), cells, parts["cells"])
        laid = placed(binned, cells["y_centroid"], cells["x_centroid"], self.about.pitch, parts["cells"])
        return Sample(data, laid, noted | {"cells_without_a_row_of_counts": len(rows) - len(cells)})


def check_alike(counts: np.ndarray, cells: pd.DataFrame, path: Path) -> None:
    """Raises UnitBenchError: the cells have other counts in the table. Ids that count from 1 fit any two files.

    Args:
        counts: of each cell in the matrix, `[n_cells]`.
        cells: the row of each cell; its column `transcript_counts` may be absent.
    """
    told = cells.get("transcript_counts", counts)
    if np.ptp(counts) and np.ptp(told) and (alike := np.corrcoef(counts, told)[0, 1]) < LEAST_ALIKE:
        cause = f"its cells are others than those of the matrix: transcript_counts and counts correlate by {alike:.2f}"
        raise UnitBenchError(path, cause, ONE_RUN)
