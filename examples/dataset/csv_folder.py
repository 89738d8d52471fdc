"""An example of a dataset: a folder with two tables of each slide as CSV, of counts and of spots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.data.lattice import square
from benchmark.data.slide import check_slide, make_slide


@dataclass(frozen=True)
class CsvFolder:
    """A folder of `<donor>_<name>.counts.csv` (spots × genes) and `….spots.csv` (row, column and label of each)."""

    folder: str

    def record(self) -> dict:
        """What it is. No counts are read."""
        files = sorted(Path(self.folder).glob("*.csv"))
        return {
            "name": "csv_folder",
            "title": "Spots and counts as CSV",
            "source": self.folder,
            "licence": "unknown",
            "citation": None,
            "technology": "spots on a square array",
            "labels": "the column `label`",
            "files": [{"path": file.name, "sha256": sha256(file)} for file in files],
            "donors": self._donors(),
            "groups": self._donors(),
        }

    def slides(self) -> Iterator[ad.AnnData]:
        for name, donor in self._donors().items():
            counts = pd.read_csv(f"{self.folder}/{name}.counts.csv", index_col=0)
            spots = pd.read_csv(f"{self.folder}/{name}.spots.csv", index_col=0)
            place = square(spots["row"], spots["column"], pitch=100, unit="µm")
            where = {"position": place.position, "lattice": place.cell, "lattice_record": place.record}
            slide = make_slide(
                counts.to_numpy(), counts.columns, counts.index, name=name, donor=donor, label=spots["label"], **where
            )
            yield check_slide(slide, f"{name}.counts.csv")

    def _donors(self) -> dict[str, str]:
        """The donor of each slide, by its name."""
        names = sorted(path.name.removesuffix(".counts.csv") for path in Path(self.folder).glob("*.counts.csv"))
        if not names:
            raise UnitBenchError(self.folder, "no .counts.csv files", "give the folder that holds them")
        return {name: name.split("_")[0] for name in names}
