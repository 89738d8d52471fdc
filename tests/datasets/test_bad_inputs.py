"""What is refused: each bad input is one line with its file, cause and remedy, and leaves nothing in the corpus."""

from contextlib import suppress

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from tests.helpers.bad_inputs import BAD
from tests.helpers.h5ad_folder import Folder, a_file
from tests.helpers.paths import ROOT
from tests.helpers.refusals import matches


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_a_bad_input_is_refused_in_one_line_and_leaves_nothing(bad, tmp_path):
    folder = Folder(tmp_path)
    folder.write("one.h5ad", a_file())
    folder.write("two.h5ad", a_file())
    changes = bad.harm(folder) or {}
    with pytest.raises(UnitBenchError) as caught:
        dataset = folder.dataset(**changes)
        write_corpus(dataset.slides(), tmp_path / "corpus", {})
    with suppress(UnitBenchError):  # every command reads the record: a line, or none yet
        dataset.record()
    error = caught.value
    assert "\n" not in str(error)
    assert error.where.endswith(bad.where)
    assert matches(bad.says, error.cause), error.cause
    assert matches(bad.do, error.remedy), error.remedy
    assert not list((tmp_path / "corpus").rglob("*"))


def test_the_documentation_lists_what_is_refused():
    text = (ROOT / "docs/own_data.md").read_text(encoding="utf-8")
    table = text.partition("## What is refused, and what to do")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert rows == [f"| {bad.what} | {quoted(bad.says)} | {quoted(bad.do)} |" for bad in BAD]
    assert len(rows) >= 40


def quoted(piece: str) -> str:
    """As code, also with backticks inside."""
    return f"`` {piece} ``" if "`" in piece else f"`{piece}`"
