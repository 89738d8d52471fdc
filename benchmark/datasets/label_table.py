"""Labels that stand in a table of their own, joined to the spots of the slides by barcode."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from benchmark.core.errors import UnitBenchError
from benchmark.core.typed_values import Frozen
from benchmark.data import labels
from benchmark.datasets.tables import read_columns

SLIDES = "name its column of slides in `label_table.slide`"


class LabelTable(Frozen):
    """A table with a row for each labelled spot. Columns are never guessed: what is not named is an error."""

    path: Path = Field(description="A CSV, TSV or Parquet file: its path below `folder`, or an absolute one.")
    barcode: str | None = Field(default=None, description="Its column with the names of spots, as in the index of obs.")
    label: str | None = Field(default=None, description="Its column of labels.")
    slide: str | None = Field(
        default=None, description="Its column with the names of slides. Null: no two slides share a barcode."
    )


class LabelJoin:
    """The labels of a table, given to one slide after the other.

    Args:
        folder: of the slides.
        unlabelled: labels that mean "no label".

    Raises:
        UnitBenchError: the table is missing or damaged, a column is not named or not there, or a spot has two labels.
    """

    def __init__(self, about: LabelTable, folder: Path, unlabelled: Collection[str] = ()):
        self.path, self._unlabelled = folder / about.path, unlabelled
        keys = ["barcode", "label"] + (["slide"] if about.slide else [])
        table = read_columns(self.path, {f"label_table.{key}": getattr(about, key) for key in keys})
        table.columns = pd.Index(keys)
        self._table = table.drop_duplicates().reset_index(drop=True)
        spot = [key for key in ("slide", "barcode") if key in keys]
        if (twice := self._table.duplicated(spot, keep=False)).any():
            first, second = self._table[twice].sort_values(spot, kind="stable").iloc[:2].to_dict("records")
            cause = f"barcode {first['barcode']!r} has two labels, {first['label']!r} and {second['label']!r}"
            raise UnitBenchError(self.path, cause, "leave one row for each spot" if about.slide else SLIDES)
        self._owner = pd.Series(None, self._table.index, dtype=object)  # the slide whose spot each row labels

    def labels(self, slide: str, spots: pd.Index) -> tuple[pd.Categorical, dict[str, int]]:
        """The labels of a slide, `[n_spots]`, and how many of what is to note in `uns["join"]`.

        Raises:
            UnitBenchError: the table has rows for the slide, and none of them is a spot of it; or a barcode labels
                spots of two slides.
        """
        table = self._table[self._table["slide"] == slide] if "slide" in self._table else self._table
        row = pd.Index(table["barcode"]).get_indexer(spots)
        found = row >= 0
        if "slide" in table and len(table) and not found.any():
            raise self._unmatched(f"slide {slide}: no spot is", "barcodes", table["barcode"], spots)
        used = table.index[row[found]]
        if (taken := self._owner[used].dropna()).size:
            cause = f"barcode {table['barcode'][taken.index[0]]!r} is in the slides {taken.iloc[0]!r} and {slide!r}"
            raise UnitBenchError(self.path, cause, SLIDES)
        self._owner[used] = slide
        values = np.full(len(spots), None, dtype=object)
        values[found] = table["label"].loc[used]
        cleaned = labels.clean(values, self._unlabelled)
        return cleaned, {
            "spots_without_a_row_in_the_label_table": int((~found).sum()),
            "values_of_label_read_as_missing": int(found.sum() - (cleaned.codes >= 0).sum()),
        }

    def rows_left(self, slides: Iterable[str], spots: pd.Index) -> int:
        """How many rows labelled no spot, once all slides have their labels.

        Args:
            slides: their names.
            spots: those of the last slide, for the message.

        Raises:
            UnitBenchError: no row of the table labelled a spot.
        """
        if self._owner.isna().all():
            if "slide" in self._table:
                raise self._unmatched("no slide is", "slides", self._table["slide"], pd.Index(list(slides)))
            raise self._unmatched("no spot is", "barcodes", self._table["barcode"], spots)
        return int(self._owner.isna().sum())

    def _unmatched(self, what: str, kind: str, theirs: pd.Series, ours: pd.Index) -> UnitBenchError:
        """The error with three examples of each side."""
        there, here = (", ".join(pd.unique(np.asarray(names, dtype=object))[:3]) for names in (theirs, ours))
        cause = f"{what} in the table, which has the {kind} {there or 'none'}, and the data have {here}"
        return UnitBenchError(self.path, cause, f"make the {kind} of both alike")
