"""What the readers of 10x Genomics' formats and of SpatialData refuse: each row of docs/readers.md comes true."""

from contextlib import suppress

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from tests.helpers.bad_samples import HARMS, MAKE
from tests.helpers.paths import ROOT
from tests.helpers.refusals import matches


def rows():
    """Of the table: the reader, what is wrong, what the line says and what it tells to do."""
    text = (ROOT / "docs/readers.md").read_text(encoding="utf-8")
    table = text.partition("## What is refused, and what to do")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return [(reader.strip("`"), what, says.strip("` "), do.strip("` ")) for reader, what, says, do in cells]


def test_the_documentation_lists_every_fault():
    listed = [row[:2] for row in rows()]
    assert listed == [(reader, what) for reader, faults in HARMS.items() for what in faults]


@pytest.mark.parametrize(("reader", "what", "says", "do"), rows())
def test_a_bad_folder_is_refused_in_one_line_and_leaves_nothing(reader, what, says, do, tmp_path):
    where, harm = HARMS[reader][what]
    folder = MAKE[reader](tmp_path)
    changes = harm(folder) or {}
    with pytest.raises(UnitBenchError) as caught:
        dataset = folder.dataset(**changes)
        write_corpus(dataset.slides(), tmp_path / "corpus", {})
    with suppress(UnitBenchError):  # every command reads the record: a line, or none yet
        dataset.record()
    error = caught.value
    assert "\n" not in str(error)
    assert error.where.endswith(where)
    assert matches(says, error.cause), error.cause
    assert matches(do, error.remedy), error.remedy
    assert not list((tmp_path / "corpus").rglob("*"))
