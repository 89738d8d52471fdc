"""What the folders of imaging assays share: the description of one, its images, and the reading of tables."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.source import locate
from benchmark.datasets.description import read_description

BANDS = ("red", "green", "blue")


class Stain(Frozen):
    """One way to see the cells. `path`: of the image, unless its name tells it; `band`: one colour of it."""

    stain: str
    path: str | None = None
    band: str | None = Field(None, pattern=f"^({'|'.join(BANDS)})$")


class CellDescription(Frozen):
    """The YAML file's keys that every reader has. An empty `images` declares that there are none."""

    name: str
    title: str
    folder: str  # under UNITBENCH_DATA; where it is not there, files come from `<url>/<path>`
    url: str
    source: str
    licence: str
    citation: str | None = None
    technology: str
    donor: str
    transcripts: str  # path of the table
    images: dict[str, Stain]
    microns_per_pixel: float = Field(gt=0)
    pitch: float = Field(gt=0)  # side of a lattice cell in µm
    files: dict[str, str]  # sha256 of each, by its path under `folder`


class CellFolder(Frozen):
    """`describe`: path of the YAML file; `stain`: one of its `images`, the first where it is left out."""

    kind: ClassVar[type[CellDescription]] = CellDescription
    describe: Path
    stain: str | None = None

    @cached_property
    def about(self) -> Any:
        return read_description(self.describe, self.kind)

    def names(self) -> list[str]:
        """The slides' names."""
        raise NotImplementedError

    def record(self) -> dict:
        """What this dataset is; no file is read but its description."""
        donors = dict.fromkeys(self.names(), self.about.donor)
        return {
            **self.about.model_dump(
                include={"name", "title", "source", "url", "licence", "citation", "technology", "microns_per_pixel"}
            ),
            "labels": "none",
            "files": [{"path": path, "sha256": digest} for path, digest in self.about.files.items()],
            "donors": donors,
            "groups": donors,
        }

    def locate(self, path: str) -> Path:
        """Where the file lies, its checksum taken.

        Raises:
            UnitBenchError: missing, altered, or not among the files of the description.
        """
        return locate(self.about.folder, {"path": path, "sha256": self._digest(path)}, self.about.url)

    def table(self, path: str, columns: dict[str, Any]) -> pd.DataFrame:
        """These columns of a CSV file, perhaps gzipped, of these types."""
        file = self.locate(path)
        options = {"compression": "gzip"} if path.endswith(".gz") else {}
        try:
            return pd.read_csv(file, usecols=list(columns), dtype=columns, **options)
        except (OSError, EOFError, ValueError) as error:
            raise UnitBenchError(file, f"cannot be read ({error})", "replace it") from error

    def image(self, path: str | None = None) -> dict[str, Any] | None:
        """What a slide says of its image, which is not opened; None: declared absent. `path`: where no stain has it."""
        looks = self.about.images
        if self.stain is not None and self.stain not in looks:
            raise UnitBenchError(self.describe, f"no image {self.stain!r}", nearest(self.stain, looks))
        if not looks:
            return None
        look = looks[self.stain or next(iter(looks))]
        path = look.path or path
        record = {
            "folder": self.about.folder,
            "path": path,
            "url": self.about.url,
            "sha256": self._digest(path),
            "stain": look.stain,
            "light": "fluorescence",
            "kind": "morphology",
            "microns_per_pixel": self.about.microns_per_pixel,
        }
        return record | ({"band": BANDS.index(look.band)} if look.band else {})

    def _digest(self, path: str) -> str:
        if path not in self.about.files:
            raise UnitBenchError(self.describe, f"no sha256 of {path!r} in `files`", "add it, or correct the path")
        return self.about.files[path]
