"""Embeddings that were made elsewhere: each row reaches its spot; a file that does not fit is refused in one line."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from baselines.precomputed import Precomputed
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make
from benchmark.experiment.check import check_methods
from benchmark.experiment.score import score_arms
from tests.helpers.arms import DOMAIN, config, run
from tests.helpers.paths import ROOT
from tests.helpers.refusals import matches

D = 3


def embedding(slide, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(slide.n_obs, D)).astype(np.float32)


def names(slide) -> np.ndarray:
    return slide.obs_names.to_numpy(dtype=str)


def write(folder, corpus):
    """One `.npz` a slide, rows in the order of its spots."""
    for name in corpus.names:
        np.savez(folder / f"{name}.npz", embedding(corpus[name]))
    return folder


@pytest.fixture
def folder(tissue, tmp_path):
    (tmp_path / "made").mkdir()
    return write(tmp_path / "made", tissue)


@pytest.fixture(scope="module")
def slide(tissue):
    return tissue[tissue.names[0]]


def read(folder, slide, **options) -> np.ndarray:
    return Precomputed(str(folder), **options).embed(slide)


# What is read


def test_rows_without_names_are_in_the_order_of_the_spots(folder, slide):
    np.testing.assert_array_equal(read(folder, slide), embedding(slide))


def test_named_rows_reach_their_spots_and_those_of_other_spots_are_left_out(tmp_path, slide):
    order = np.random.default_rng(1).permutation(slide.n_obs)
    rows = np.vstack([embedding(slide)[order], np.full((2, D), 9)])
    np.savez(tmp_path / "donor0_0.npz", embedding=rows, obs_names=np.array([*names(slide)[order], "other", "more"]))
    np.testing.assert_array_equal(read(tmp_path, slide), embedding(slide))


@pytest.mark.parametrize("matrix", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_an_h5ad_is_read_by_the_names_of_its_spots_whatever_obsm_holds(tmp_path, slide, matrix):
    values = embedding(slide)
    held = pd.DataFrame(values, names(slide), list("abc")) if matrix is pd.DataFrame else matrix(values)
    made = ad.AnnData(obs=pd.DataFrame(index=names(slide)), obsm={"X_theirs": held})
    made[::-1].copy().write_h5ad(tmp_path / "donor0_0.h5ad")
    np.testing.assert_array_equal(read(tmp_path, slide, key="X_theirs"), values)


def test_one_array_may_have_any_name_and_one_of_several_is_chosen_by_its_name(tmp_path, slide):
    np.savez(tmp_path / "donor0_0.npz", latent=embedding(slide), obs_names=names(slide))
    np.testing.assert_array_equal(read(tmp_path, slide), embedding(slide))
    np.savez(tmp_path / "donor0_0.npz", latent=embedding(slide), other=embedding(slide, 1))
    np.testing.assert_array_equal(read(tmp_path, slide, key="other"), embedding(slide, 1))


# What is refused


class Runs:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


BAD = {
    "another number of spots": (lambda s: {"e": embedding(s)[1:]}, "has 137 rows, the slide 138 spots; add obs_names"),
    "names of another slide": (
        lambda s: {"e": embedding(s), "obs_names": np.char.add(names(s), "-2")},
        "138 of 138 spots have no row, the first is ",
    ),
    "one spot without a row": (
        lambda s: {"e": embedding(s)[1:], "obs_names": names(s)[1:]},
        "1 of 138 spots have no row",
    ),
    "a name that stands twice": (
        lambda s: {"e": embedding(s), "obs_names": names(s)[np.arange(s.n_obs) // 2]},
        " names two rows; name every row once",
    ),
    "more names than rows": (
        lambda s: {"e": embedding(s)[1:], "obs_names": names(s)},
        "has 137 rows and 138 obs_names",
    ),
    "not finite": (
        lambda s: {"e": np.where(np.arange(s.n_obs)[:, None] == 4, np.nan, embedding(s))},
        "1 rows have values that are not finite in float32, the first is row 4",
    ),
    "too large for float32": (lambda s: {"e": np.full((s.n_obs, D), 1e300)}, "not finite in float32"),
    "words": (lambda s: {"e": np.full((s.n_obs, D), "x")}, "the embedding is <U1 of shape (138, 3), numbers"),
    "one dimension": (
        lambda s: {"e": np.ones(s.n_obs)},
        "the embedding is float64 of shape (138,), numbers [n_spots, d] are asked",
    ),
    "no column": (lambda s: {"e": np.ones((s.n_obs, 0))}, "the embedding is float64 of shape (138, 0), numbers"),
    "no such array": (
        lambda s: {"a": embedding(s), "b": embedding(s)},
        "no array 'embedding', it has 'a', 'b'; set key",
    ),
    "only names": (lambda s: {"obs_names": names(s)}, "no array 'embedding', it has nothing"),
}


@pytest.mark.parametrize(("arrays", "line"), BAD.values(), ids=BAD)
def test_a_file_that_does_not_fit_is_refused_in_one_line(folder, tissue, slide, arrays, line):
    np.savez(folder / "donor0_0.npz", **arrays(slide))
    with pytest.raises(UnitBenchError) as caught:
        Precomputed(str(folder)).check(tissue)
    assert str(caught.value).startswith(f"{folder / 'donor0_0.npz'}: ") and line in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("line", [line for _, line in BAD.values()], ids=BAD)
def test_the_page_about_handing_in_has_each_line(line):
    table = (ROOT / "docs/submit.md").read_text(encoding="utf-8")
    pieces = re.findall(r"`([^`]+)`", "".join(row for row in table.splitlines() if row.startswith("| `")))
    assert any(matches(piece, line) for piece in pieces if len(piece) > 12), line


def test_a_pickled_array_is_refused_and_not_run(folder, tissue, tmp_path):
    np.savez(folder / "donor0_0.npz", np.array([Runs(tmp_path / "mark")], dtype=object))
    with pytest.raises(
        UnitBenchError, match=r"allow_pickle=False.*; write it with numpy\.savez: numbers, and names as"
    ):
        Precomputed(str(folder)).check(tissue)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("suffix", [".npz", ".h5ad"])
def test_a_damaged_file_is_refused(folder, tissue, suffix):
    (folder / "donor0_0.npz").unlink()
    (folder / f"donor0_0{suffix}").write_bytes(b"no archive")
    with pytest.raises(UnitBenchError, match=r"donor0_0.*damaged, it cannot be read"):
        Precomputed(str(folder)).check(tissue)


def test_a_missing_file_stops_the_run_before_anything_begins(folder, tissue):
    (folder / "donor2_1.npz").unlink()
    method = {"method": "precomputed", "label": "theirs", "options": {"folder": str(folder)}}
    line = r"method 'theirs': .*made: no embedding of slide 'donor2_1'; write donor2_1\.npz or donor2_1\.h5ad there"
    with pytest.raises(UnitBenchError, match=line):
        check_methods(config(methods=[method]), tissue, [("theirs", "fold0"), ("theirs", "fold1")])


def test_two_files_of_one_slide_are_refused(folder, tissue):
    ad.AnnData(obs=pd.DataFrame(index=["a"])).write_h5ad(folder / "donor0_0.h5ad")
    with pytest.raises(UnitBenchError, match=r"donor0_0\.npz: donor0_0\.h5ad stands beside it; delete one of them"):
        Precomputed(str(folder)).check(tissue)


def test_an_h5ad_without_the_key_names_what_it_has(tmp_path, slide):
    made = ad.AnnData(obs=pd.DataFrame(index=names(slide)), obsm={"spatial": embedding(slide)})
    made.write_h5ad(tmp_path / "donor0_0.h5ad")
    with pytest.raises(UnitBenchError, match="no obsm 'embedding', it has 'spatial'; set key to one of them"):
        read(tmp_path, slide)


# As a method


def test_without_a_folder_it_is_not_applicable(tissue):
    method = make("methods", "precomputed", {})
    method.check(tissue)
    assert method.not_applicable == "no folder of embeddings"
    with pytest.raises(UnitBenchError, match="set folder to one"):
        method.fit(tissue, None, 0)


def test_its_rows_are_those_of_a_reference_and_say_what_it_has_seen(folder, tissue, tmp_path):
    options = {"folder": str(folder), "seen": ["donor0_0"], "what": "a model, CC-BY"}
    settings = config(methods=[{"method": "precomputed", "options": options}], tasks=[DOMAIN])
    records, _ = run(settings, tissue, tmp_path, "precomputed")
    rows = [row for row in score_arms(settings, tissue, tmp_path, records)[0] if row.task == "domain"]
    assert {row.status for row in rows} == {"ok"} and {row.unit for row in rows} == {"none"}
    assert {row.reference for row in rows} == {"embeddings made elsewhere, not compute-matched"}
    assert {row.slide for row in rows if row.transductive} == {"donor0_0"}
    assert all('"what": "a model, CC-BY"' in row.options for row in rows)


def test_another_embedding_in_the_folder_is_another_arm(folder, tissue, tmp_path):
    settings = config(methods=[{"method": "precomputed", "options": {"folder": str(folder)}}], tasks=[DOMAIN])
    (first,), _ = run(settings, tissue, tmp_path, "precomputed")
    assert run(settings, tissue, tmp_path, "precomputed")[0] == [first]
    np.savez(folder / "donor1_0.npz", embedding(tissue["donor1_0"], seed=1))
    (second,), _ = run(settings, tissue, tmp_path, "precomputed")
    assert second["key"] != first["key"] and second["files"] != first["files"]
