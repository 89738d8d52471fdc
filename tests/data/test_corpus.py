"""The prepared corpus: complete or absent, read one slide at a time, and an altered slide is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError
from benchmark.data import corpus as module
from benchmark.data.corpus import open_corpus
from benchmark.data.normalisation import normalised
from benchmark.data.prepare import along_a_curve, write_corpus
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


def test_all_slides_have_the_union_of_the_genes_and_say_which_they_measured(slides, tmp_path):
    corpus = write_corpus(slides, tmp_path, {})
    assert corpus.genes.tolist() == list("abcde")
    # Columns of `abcd` and of `dbe`, worked by hand.
    assert corpus["one"].X.toarray().tolist() == [[0, 1, 2, 3, 0], [4, 5, 6, 7, 0], [8, 9, 10, 11, 0]]
    assert corpus["two"].X.toarray().tolist() == [[0, 1, 0, 0, 2], [0, 4, 0, 3, 5], [0, 7, 0, 6, 8]]
    assert corpus["two"].var["measured"].tolist() == [False, True, False, True, True]
    assert corpus["two"].X.has_canonical_format and (np.diff(corpus["two"].X.indices[:2]) > 0).all()
    assert corpus.genes[corpus.common].tolist() == ["b", "d"]
    assert corpus.subset(["two"]).common.tolist() == corpus.measured("two").tolist()


def test_a_method_without_panels_is_shown_the_common_genes_and_the_library_size_of_all(slides, tmp_path):
    narrow = write_corpus(slides, tmp_path, {}).for_methods(["one", "two"], panels=False)
    for name, counts, size in (
        ("one", [[1, 3], [5, 7], [9, 11]], [6, 22, 38]),
        ("two", [[1, 0], [4, 3], [7, 6]], [3, 12, 21]),
    ):
        slide = narrow[name]
        assert slide.X[:, [1, 3]].toarray().tolist() == counts and slide.X.sum() == np.sum(counts)
        assert slide.var["measured"].tolist() == [False, True, False, True, False]
        assert slide.obs["library_size"].tolist() == size
        # log1p(10,000 × count / all counts of the spot), gene d of the last spot
        expected = np.log1p(1e4 * counts[2][1] / slide.obs["library_size"].iloc[2])
        assert normalised(slide)[2, 3] == pytest.approx(expected)
    assert "library_size" not in narrow.subset(["one"])["one"].obs  # alone it has all its genes


def test_a_large_slide_is_kept_in_blocks_along_a_curve(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmark.data.prepare.LARGE", 2)
    monkeypatch.setattr("benchmark.data.stored.SPOTS_AT_ONCE", 2)
    corpus = write_corpus([a_slide("one", "abcd"), a_slide("two", "dbe")], tmp_path, {})
    assert corpus["one"].obs_names.tolist() == ["s0", "s1", "s2"]  # cells (0, 0), (0, 1), (1, 0): a Z already
    assert corpus["two"].X.toarray().tolist() == [[0, 1, 0, 0, 2], [0, 4, 0, 3, 5], [0, 7, 0, 6, 8]]
    cell = np.random.default_rng(0).permutation(np.argwhere(np.ones((4, 4))))
    assert cell[along_a_curve(cell)][:8].tolist() == [
        [0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3],
    ]  # fmt: skip


def test_slides_read_by_several_processes_make_the_same_corpus(slides, tmp_path):
    alone = write_corpus(slides, tmp_path / "a", {})
    lines = []
    together = write_corpus({s.uns["slide"]: lambda s=s: s for s in slides}, tmp_path / "b", {}, progress=lines.append)
    assert together.record == alone.record
    assert [line.split(":")[0] for line in lines[:2]] == ["slide one", "slide two"]

    def bad():
        raise UnitBenchError("two.h5ad", "no counts", "give some")

    with pytest.raises(UnitBenchError, match=r"two\.h5ad: no counts; give some"):
        write_corpus({"one": lambda: slides[0], "two": bad}, tmp_path / "c", {})
    with pytest.raises(UnitBenchError, match=r"or a later one: the process that read it ended; give it more memory"):
        write_corpus({"one": lambda: slides[0], "two": lambda: os._exit(9)}, tmp_path / "d", {})
    assert not list((tmp_path / "c").rglob("*")) and not list((tmp_path / "d").rglob("*"))


def test_the_record_counts_genes_spots_and_labels(slides, tmp_path):
    record = write_corpus(slides, tmp_path, {"name": "small"}).record
    assert (record["name"], len(record["genes"]), record["slides"]["two"]["n_genes"]) == ("small", 5, 3)
    assert record["slides"]["two"]["donor"] == "D2" and record["slides"]["two"]["n_spots"] == 3
    assert record["slides"]["one"]["labels"] == {"x": 1, "y": 1}


def test_preparing_twice_gives_the_same_record(slides, tmp_path):
    first = write_corpus(slides, tmp_path / "a", {}).record
    assert write_corpus(slides, tmp_path / "b", {}).record == first


def test_no_slide_is_read_until_it_is_asked_for(tissue, monkeypatch):
    read = []
    whole = ad.read_h5ad
    monkeypatch.setattr(ad, "read_h5ad", lambda path: read.append(path.stem) or whole(path))
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
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("suffix", ["h5ad", "safetensors"])
@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "altered since it was prepared"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"), "altered since it was prepared"),
        (lambda path: path.unlink(), "file not found"),
    ],
)
def test_a_slide_altered_since_it_was_prepared_is_refused(slides, tmp_path, harm, message, suffix):
    corpus = write_corpus(slides, tmp_path, {})
    harm(tmp_path / f"slides/one.{suffix}")
    with pytest.raises(UnitBenchError, match=rf"one\.\w+: {message}; run `unitbench prepare` again"):
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
        (
            [a_slide("one", "ab"), a_slide("two", "cd")],
            "0 of its 2 genes are in the slides before it: it has c, d, they have a, b",
        ),
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
