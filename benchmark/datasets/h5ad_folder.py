"""Any folder of `.h5ad` slides, described by a short YAML file such as config/datasets/dlpfc.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.data.source import local_folder
from benchmark.datasets.description import Description, read_description
from benchmark.datasets.h5ad_slide import donor_and_group, read_file, read_slide

if TYPE_CHECKING:
    import anndata as ad


class H5adFolder(Frozen):
    """`describe`: path of the YAML file."""

    describe: Path

    def record(self) -> dict[str, Any]:
        """What this dataset is. Donors and groups are read from the slides, whose counts stay on disk."""
        about = self._description
        individuals = {p.stem: donor_and_group(read_file(p, backed="r"), about, p) for p in self._paths()}
        return {
            **about.model_dump(include={"name", "title", "source", "licence", "citation", "technology", "labels"}),
            "files": [
                {
                    "path": path.name,
                    "sha256": about.files.get(path.name) or sha256(path),
                    "bytes": path.stat().st_size,
                }
                for path in self._paths()
            ],
            "donors": {slide: donor for slide, (donor, _) in individuals.items()},
            "groups": {slide: group for slide, (_, group) in individuals.items()},
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, named after their files, read one at a time.

        Raises:
            UnitBenchError: the description or a slide is missing, damaged, altered or not as described.
        """
        for path in self._paths():
            yield read_slide(path, self._description)

    @cached_property
    def _description(self) -> Description:
        return read_description(self.describe, Description)

    def _paths(self) -> list[Path]:
        about = self._description
        folder = about.folder if about.folder.is_absolute() else local_folder(str(about.folder))
        if folder is None or not folder.is_dir():
            raise UnitBenchError(
                self.describe, f"no folder {about.folder}", "set UNITBENCH_DATA to the folder that contains it"
            )
        paths = [folder / name for name in about.files] or sorted(folder.glob("*.h5ad"))
        if not paths:
            raise UnitBenchError(folder, "no .h5ad files", "correct `folder` in the description")
        return paths
