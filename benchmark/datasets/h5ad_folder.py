"""Any folder of `.h5ad` or `.zarr` slides, described by a short YAML file such as config/datasets/dlpfc.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.core.typed_values import Frozen
from benchmark.data.names import check_twins
from benchmark.data.source import described_folder
from benchmark.datasets.description import Description, read_description, without_places
from benchmark.datasets.h5ad_file import checksum, names_of_files, opened, size, slide_files
from benchmark.datasets.h5ad_part import Part, donor_and_group, parts
from benchmark.datasets.h5ad_slide import read_slide
from benchmark.datasets.label_table import LabelJoin

if TYPE_CHECKING:
    import anndata as ad


class H5adFolder(Frozen):
    """`describe`: path of the YAML file."""

    kind: ClassVar[type[Description]] = Description
    describe: Path

    def record(self) -> dict[str, Any]:
        """What this dataset is. Donors and groups are read from the slides, whose counts stay on disk.

        It names all that the slides depend on: the description, and the sha256 of every file and table.
        """
        about, individuals = self._description, {}
        for path in self._files.values():
            with self._opened(path) as slides:
                individuals |= {slide.name: donor_and_group(slide, about) for slide in slides}
        return {
            **about.model_dump(include={"name", "title", "source", "licence", "citation", "technology", "labels"}),
            "files": [
                {
                    "path": name,
                    "sha256": about.files.get(name) or checksum(path, self._within(path)),
                    "bytes": size(self._within(path)),
                }
                for name, path in self._files.items()
            ],
            "tables": {path.name: sha256(path) for path in self._tables if path.is_file()},
            "donors": {slide: donor for slide, (donor, _) in individuals.items()},
            "groups": {slide: group for slide, (_, group) in individuals.items()},
            "description": without_places(about),
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, read one at a time.

        Raises:
            UnitBenchError: the description or a slide is missing, damaged, altered or not as described, or no slide has
                a column of labels that the description names.
        """
        about, names, labelled = self._description, self._names, set[str]()
        table = LabelJoin(about.label_table, self._folder, about.unlabelled) if about.label_table else None
        for name, path in self._files.items():
            self._check(name, path)
            with self._opened(path) as slides:
                for part in slides:
                    slide = self._read(part, table)
                    labelled.update(slide.obs.columns[slide.obs.notna().any()])
                    if table and part.name == names[-1]:
                        left = table.rows_left(names, slide.obs_names)
                        slide.uns["join"]["rows_of_the_label_table_for_no_spot_of_any_slide"] = left
                    yield slide
        if table and "label" not in labelled:
            remedy = "correct `label_table.label`, or `unlabelled`"
            raise UnitBenchError(table.path, "no slide has a label in this table", remedy)
        for column, kept in about.columns.items():
            if kept not in labelled:
                cause = f"no slide has a label in obs[{column!r}]"
                with self._opened(path) as slides:
                    known = ", ".join(map(str, slides[0].file.obs))
                remedy = f"correct it, or leave it out; columns of {path.name}: {known}"
                raise UnitBenchError(self.describe, cause, remedy)

    def _check(self, name: str, path: Path) -> None:
        """Raises UnitBenchError: the file or store is not the one that the description has the sha256 of."""
        digest = self._description.files.get(name)
        if digest and path.exists() and checksum(path, self._within(path)) != digest:
            raise UnitBenchError(path, "altered: sha256 differs from the record", "replace it or delete it")

    @contextmanager
    def _opened(self, path: Path) -> Iterator[list[Part]]:
        """The slides of a file or store, while it is open."""
        with opened(path) as file:
            yield parts(file, self._description)

    def _read(self, part: Part, table: LabelJoin | None) -> ad.AnnData:
        return read_slide(part, self._description, table)

    def _within(self, path: Path) -> list[Path]:
        """The parts of a file or store that are read."""
        return [path]

    @cached_property
    def _description(self) -> Any:
        """The description, of the class `kind`."""
        return read_description(self.describe, self.kind)

    @cached_property
    def _folder(self) -> Path:
        """The folder of the slides."""
        return described_folder(self._description.folder, self.describe)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The files and stores, by their path below the folder."""
        return slide_files(self._folder, list(self._description.files), self.describe)

    @property
    def _tables(self) -> list[Path]:
        """The tables that the description names."""
        about = self._description
        genes = [about.genes.table] if about.genes and about.genes.table else []
        return genes + ([self._folder / about.label_table.path] if about.label_table else [])

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The names of all slides, in order.

        Raises:
            UnitBenchError: two slides have one name, or one that differs in case alone.
        """
        if self._description.slide is None:
            return tuple(names_of_files(self._files, self.describe))
        found: dict[str, str] = {}
        for name, path in self._files.items():
            with self._opened(path) as slides:
                for part in slides:
                    if part.name in found:
                        cause = f"{found[part.name]!r} and {name!r} both hold a slide {part.name!r}"
                        raise UnitBenchError(self.describe, cause, "rename one")
                    found[part.name] = name
        check_twins(found, "slide")
        return tuple(found)
