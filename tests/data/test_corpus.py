"""The prepared corpus: complete or absent, read one slide at a time, and an altered slide is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError
from benchmark.data import corpus as module
from benchmark.data.corpus import open_corpus, write_corpus
from benchmark.data.slide import make_slide


def a_slide(name: str, genes: str, donor: str = "D1"):
    n = len(genes)
    cell = np.array([[0, 0], [0, 1], [1, 0]])
    return make_slide(
        np.arange(3 * n).reshape(3, n),
        list(genes),
        ["s0", "s1", "s2"],
        name=name,
        donor=donor,
        position=cell,
        lattice=cell,
        lattice_record={"pitch": 1.0},
        label=["x", None, "y"],
    )


@pytest.fixture
def slides():
    return [a_slide("one", "abcd"), a_slide("two", "dbe", "D2")]


def test_all_slides_have_the_common_genes_in_one_order(slides, tmp_path):
    corpus = write_corpus(slides, tmp_path, {})
    assert corpus.genes.tolist() == ["b", "d"]
    for slide in corpus:
        assert slide.var_names.tolist() == ["b", "d"]
    # Columns of `abcd` and of `dbe`, worked by hand.
    assert corpus["one"].X.toarray().tolist() == [[1, 3], [5, 7], [9, 11]]
    assert corpus["two"].X.toarray().tolist() == [[1, 0], [4, 3], [7, 6]]


def test_the_record_counts_genes_spots_and_labels(slides, tmp_path):
    record = write_corpus(slides, tmp_path, {"name": "small"}).record
    assert (record["name"], record["n_genes_union"]) == ("small", 5)
    assert record["slides"]["two"]["donor"] == "D2" and record["slides"]["two"]["n_spots"] == 3
    assert record["slides"]["one"]["labels"] == {"x": 1, "y": 1}


def test_preparing_twice_gives_the_same_record(slides, tmp_path):
    first = write_corpus(slides, tmp_path / "a", {}).record
    assert write_corpus(slides, tmp_path / "b", {}).record == first


def test_no_slide_is_read_until_it_is_asked_for(tissue, monkeypatch):
    read = []
    monkeypatch.setattr(ad, "read_h5ad", lambda path: read.append(path.stem) or ad.AnnData())
    module._read.cache_clear()
    corpus = open_corpus(tissue.kept(""))
    assert corpus.n_spots > 0 and len(corpus.genes) == 40 and corpus.labelled == corpus.names
    half = corpus.subset(corpus.names[:3])
    assert read == []
    corpus[corpus.names[4]], half[half.names[0]], corpus[corpus.names[0]]
    module._read.cache_clear()
    assert read == [corpus.names[4], corpus.names[0]]  # the last one was in memory


def test_an_interrupted_preparation_leaves_no_record(slides, tmp_path):
    write_corpus(slides, tmp_path, {})

    def interrupted():
        yield slides[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(interrupted(), tmp_path, {})
    with pytest.raises(UnitBenchError, match=r"record\.json: file not found"):
        open_corpus(tmp_path)


def test_a_full_disk_leaves_no_record_and_no_part_of_a_file(slides, tmp_path, monkeypatch):
    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match=r"one\.h5ad: cannot be written \(No space left on device\)"):
        write_corpus(slides, tmp_path, {})
    assert [path.name for path in tmp_path.rglob("*")] == ["slides"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "altered since it was prepared"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"s1", b"t1")), "altered since it was prepared"),
        (lambda path: path.unlink(), "file not found"),
    ],
)
def test_a_slide_altered_since_it_was_prepared_is_refused(slides, tmp_path, harm, message):
    corpus = write_corpus(slides, tmp_path, {})
    harm(tmp_path / "slides/one.h5ad")
    with pytest.raises(UnitBenchError, match=rf"one\.h5ad: {message}; run `unitbench prepare` again"):
        corpus["one"]
    assert corpus["two"].n_obs == 3


def test_a_prepared_corpus_can_be_moved(slides, tmp_path):
    write_corpus(slides, tmp_path / "here", {})
    shutil.move(tmp_path / "here", tmp_path / "elsewhere")
    assert len(list(open_corpus(tmp_path / "elsewhere"))) == 2


@pytest.mark.parametrize(
    ("slides", "message"),
    [
        ([], "the dataset has no slides"),
        ([a_slide("one", "ab"), a_slide("two", "cd")], "no gene is in every slide"),
        ([a_slide("one", "ab"), a_slide("one", "ab")], "slide one: two slides have this name"),
    ],
)
def test_slides_that_make_no_corpus_are_an_error_of_one_line(slides, message, tmp_path):
    with pytest.raises(UnitBenchError, match=message):
        write_corpus(slides, tmp_path, {})
    assert not (tmp_path / "record.json").exists()


def test_an_unknown_slide_is_an_error_of_one_line(tissue):
    with pytest.raises(UnitBenchError, match="no slide 'donor9_0'"):
        tissue.subset(["donor9_0"])
