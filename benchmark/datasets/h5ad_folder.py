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
from benchmark.datasets.h5ad_file import read_file, slide_files
from benchmark.datasets.h5ad_slide import donor_and_group, read_slide

if TYPE_CHECKING:
    import anndata as ad


class H5adFolder(Frozen):
    """`describe`: path of the YAML file."""

    describe: Path

    def record(self) -> dict[str, Any]:
        """What this dataset is. Donors and groups are read from the slides, whose counts stay on disk.

        It names all that the slides depend on: the description, and the sha256 of every file.
        """
        about, files = self._description, self._files()
        individuals = {p.stem: donor_and_group(read_file(p, backed="r"), about, p) for p in files.values()}
        return {
            **about.model_dump(include={"name", "title", "source", "licence", "citation", "technology", "labels"}),
            "files": [
                {"path": name, "sha256": about.files.get(name) or sha256(path), "bytes": path.stat().st_size}
                for name, path in files.items()
            ],
            "donors": {slide: donor for slide, (donor, _) in individuals.items()},
            "groups": {slide: group for slide, (_, group) in individuals.items()},
            "description": about.model_dump(mode="json", exclude={"folder", "files"}),
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, named after their files, read one at a time.

        Raises:
            UnitBenchError: the description or a slide is missing, damaged, altered or not as described, or no slide has
                a column of labels that the description names.
        """
        about, labelled = self._description, set[str]()
        for name, path in self._files().items():
            slide = read_slide(path, about, about.files.get(name))
            labelled.update(slide.obs.columns[slide.obs.notna().any()])
            yield slide
        for column, kept in about.columns.items():
            if kept not in labelled:
                raise UnitBenchError(
                    self.describe,
                    f"no slide has a label in obs[{column!r}]",
                    f"correct it, or leave it out; columns of {path.name}: {', '.join(read_file(path, 'r').obs)}",
                )

    @cached_property
    def _description(self) -> Description:
        return read_description(self.describe, Description)

    def _files(self) -> dict[str, Path]:
        """The files of the slides, by their path below the folder."""
        about = self._description
        folder = about.folder if about.folder.is_absolute() else local_folder(str(about.folder))
        if folder is None or not folder.is_dir():
            raise UnitBenchError(
                self.describe, f"no folder {about.folder}", "set UNITBENCH_DATA to the folder that contains it"
            )
        return slide_files(folder, list(about.files), self.describe)
