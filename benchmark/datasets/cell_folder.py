"""What the readers of imaging assays share: the keys of a description, the image of a slide, the reading of tables."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.typed_values import Frozen
from benchmark.data.source import locate
from benchmark.datasets.description import Digest, Name, read_description

BANDS = ("red", "green", "blue")


class Stain(Frozen):
    """A stain of the cells. `path`: of its image, unless the reader finds it by its name; `band`: one colour of it."""

    stain: str
    path: str | None = None
    band: str | None = Field(None, pattern=f"^({'|'.join(BANDS)})$")


class CellDescription(Frozen):
    """The keys of the YAML file that every reader has. An empty `images` declares that the slides have no image."""

    name: str
    title: str
    folder: str  # under UNITBENCH_DATA; if it does not exist, files come from `<url>/<path>`
    url: str
    source: str
    licence: str
    citation: str | None = None
    technology: str
    donor: Name
    transcripts: str  # path of the table
    images: dict[str, Stain]
    microns_per_pixel: float = Field(gt=0)
    pitch: float = Field(gt=0)  # side of a lattice cell in µm
    files: dict[str, Digest]  # sha256 of each, by its path under `folder`


class CellFolder(Frozen):
    """`describe`: path of the YAML file; `stain`: one of its `images`, the first if it is left out."""

    kind: ClassVar[type[CellDescription]] = CellDescription
    describe: Path
    stain: str | None = None

    @cached_property
    def about(self) -> Any:
        """The description, of the class `kind`."""
        return read_description(self.describe, self.kind)

    def names(self) -> list[str]:
        """The names of the slides."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """What this dataset is. Only the description is read."""
        donors = dict.fromkeys(self.names(), self.about.donor)
        return {
            **self.about.model_dump(
                include={"name", "title", "source", "url", "licence", "citation", "technology", "microns_per_pixel"}
            ),
            "labels": "none",
            "files": [{"path": path, "sha256": digest} for path, digest in self.about.files.items()],
            "donors": donors,
            "groups": donors,
            "description": self.about.model_dump(mode="json", exclude={"files"}),
            "options": {"stain": self.stain},
        }

    def locate(self, path: str) -> Path:
        """The file on this machine, its checksum verified.

        Args:
            path: as in `files` of the description.

        Raises:
            UnitBenchError: it is missing, altered, or not among `files`.
        """
        return locate(self.about.folder, {"path": path, "sha256": self._digest(path)}, self.about.url)

    def table(self, path: str, columns: dict[str, Any]) -> pd.DataFrame:
        """These columns of a CSV file, which may be gzipped, read as these types.

        Raises:
            UnitBenchError: the file is missing, altered or damaged, or lacks a column or a value.
        """
        file = self.locate(path)
        options = {"compression": "gzip"} if path.endswith(".gz") else {}
        try:
            table = pd.read_csv(file, usecols=list(columns), dtype=columns, **options)
        except (OSError, EOFError, ValueError) as error:
            raise UnitBenchError(file, f"cannot be read ({error})", "replace it") from error
        if (lost := table.isna().sum()).any():
            raise UnitBenchError(file, f"{lost.max()} row(s) have no {lost.idxmax()}", "drop them or complete them")
        return table

    def image(self, path: str | None = None) -> dict[str, Any] | None:
        """`uns["image"]` of a slide; None: declared absent. The image is not opened.

        Args:
            path: of the image, if its stain does not have it.

        Raises:
            UnitBenchError: there is no image of this stain, or it is not among `files`.
        """
        images = self.about.images
        if self.stain is not None and self.stain not in images:
            raise UnitBenchError(self.describe, f"no image {self.stain!r}", nearest(self.stain, images))
        if not images:
            return None
        stain = images[self.stain or next(iter(images))]
        path = stain.path or path
        record = {
            "folder": self.about.folder,
            "path": path,
            "url": self.about.url,
            "sha256": self._digest(path),
            "stain": stain.stain,
            "light": "fluorescence",
            "kind": "morphology",
            "microns_per_pixel": self.about.microns_per_pixel,
        }
        return record | ({"band": BANDS.index(stain.band)} if stain.band else {})

    def _digest(self, path: str) -> str:
        if path not in self.about.files:
            raise UnitBenchError(self.describe, f"no sha256 of {path!r} in `files`", "add it, or correct the path")
        return self.about.files[path]
