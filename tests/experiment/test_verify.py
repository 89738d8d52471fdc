"""`unitbench verify`: a finished run follows from its embeddings; whatever was altered since is found."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from benchmark.core.config import read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, sha256
from benchmark.core.scores import write_table
from benchmark.core.verified import verdict
from benchmark.data.prepare import prepare, write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.experiment.layout import source
from benchmark.experiment.verify import differences, show, verify
from tests.helpers.command import unitbench
from tests.helpers.paths import FIXTURES, ROOT
from tests.helpers.real import DATA

SMALL = FIXTURES / "finished"
KEPT = {path.parents[4] for top in (FIXTURES, ROOT / "results/reference") for path in top.rglob("arms/*/*/*/*.npz")}


def copy(folder, where):
    """What is handed in of a run."""
    return shutil.copytree(folder, where, ignore=shutil.ignore_patterns("corpus", "*.safetensors", "artifacts"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The slides of the small run, made here."""
    folder = tmp_path_factory.mktemp("data") / "corpus"
    prepare(source(read_config(SMALL / "config.yaml")), folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A copy to be altered."""
    return copy(SMALL, tmp_path / "handed_in")


def alter(folder, change) -> None:
    """Replace the score rows by `change(rows)`."""
    write_table(folder / "scores.parquet", change(pd.read_parquet(folder / "scores.parquet")))


def replace(folder, change, arm="pca/fold0/0-seed0", signed=True) -> None:
    """Replace the embeddings of an arm by `change(arrays)`, and where `signed`, its checksum in the record too."""
    file, record = folder / "arms" / arm / "embeddings.npz", folder / "arms" / arm / "arm.json"
    np.savez(file, **change(dict(np.load(file))))
    said = read_json(record)
    if signed:
        said["files"]["embeddings.npz"] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    record.write_text(json.dumps(said))


@pytest.mark.parametrize("reference", sorted(KEPT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_committed_run_that_keeps_its_embeddings_is_verified(reference, tmp_path, monkeypatch):
    """On data that are prepared here. In a process that computes as an older processor does: without AVX-512."""
    folder = copy(reference, tmp_path / "handed_in")
    if (folder / "config.yaml").read_text().count("simulated") == 0 and DATA is None:
        pytest.skip("real tissue not found: set UNITBENCH_DATA")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "X86_V4 AVX512_ICL AVX512_SPR")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    done = unitbench("verify", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("verified: ") and verdict(folder) == "verified"
    mark = read_json(folder / "verified.json")
    assert mark.keys() == {"rows", "differ", "scores", "data", "commit"} and mark["differ"] == 0


def test_a_run_that_nobody_verified_has_no_word_and_one_that_changed_since_is_self_reported(folder, corpus):
    assert verdict(folder) == ""
    assert verify(folder, corpus).differences == [] and verdict(folder) == "verified"
    alter(folder, lambda rows: rows.iloc[1:])
    assert verdict(folder) == "self-reported"


def test_a_value_altered_in_the_fourth_digit_is_found(folder, corpus, capsys):
    def change(rows):
        where = rows.index[(rows["metric"] == "macro_f1") & (rows["split"] == "donor") & (rows["method"] == "pca")][0]
        return rows.assign(value=rows["value"].where(rows.index != where, rows["value"] + 1e-4))

    alter(folder, change)
    assert show(folder, corpus) == 1 and verdict(folder) == "self-reported"
    difference, count = capsys.readouterr().out.splitlines()
    assert difference.startswith("pca/fold0/0-seed0, donor, domain ") and "value is " in difference
    assert count.startswith("1 rows differ; ")


def swapped(arrays):
    one, other = sorted(arrays)[:2]
    n = min(len(arrays[one]), len(arrays[other]))
    first, second = arrays[one].copy(), arrays[other].copy()
    first[:n], second[:n] = arrays[other][:n], arrays[one][:n]
    return arrays | {one: first, other: second}


@pytest.mark.parametrize("signed", [True, False])
def test_two_slides_whose_embeddings_change_places_are_found(folder, corpus, signed):
    replace(folder, swapped, signed=signed)
    lines = verify(folder, corpus).differences
    assert lines and all(line.startswith("pca/fold0/0-seed0, donor, domain") for line in lines)
    assert any("altered since it was made" in line for line in lines) is not signed


@pytest.mark.parametrize("same_size", [True, False])
def test_an_embedding_of_another_corpus_is_found(folder, corpus, same_size):
    other = (lambda array: array[::-1]) if same_size else (lambda array: array[: len(array) // 2])
    replace(folder, lambda arrays: {slide: other(array) for slide, array in arrays.items()})
    lines = verify(folder, corpus).differences
    assert ("value is " if same_size else "missing in the file, recomputed failed (IndexError") in lines[0]
    assert all(line.startswith("pca/fold0/0-seed0, donor, domain") for line in lines)
    assert verdict(folder) == "self-reported"


def test_rows_of_other_data_are_refused(folder, tmp_path):
    options = read_config(SMALL / "config.yaml").dataset.options | {"shape": (10, 10), "depth": 150}
    data = Simulated(**options)
    write_corpus(data.slides(), tmp_path / "other", data.record())
    with pytest.raises(UnitBenchError, match=r"rows of 'simulated' are of the data \w{12}, here: \w{12}; prepare"):
        verify(folder, tmp_path / "other")


def test_rows_that_were_removed_or_added_are_found(folder, corpus):
    alter(folder, lambda rows: rows[~((rows["task"] == "domain") & (rows["slide"] == "donor1_0"))])
    lines = verify(folder, corpus).differences
    assert lines and all(line.endswith(", donor1_0: missing in the file, recomputed ok") for line in lines)
    alter(folder, lambda rows: pd.concat([rows, rows.tail(1)]))
    again = [line for line in verify(folder, corpus).differences if line not in lines]
    assert len(again) == 1 and again[0].endswith(": not recomputed: there is no such score")


def test_an_arm_that_was_taken_out_with_its_rows_is_missed(folder, corpus):
    shutil.rmtree(folder / "arms/pca/fold1")
    alter(folder, lambda rows: rows[~((rows["method"] == "pca") & (rows["fold"] == "fold1"))])
    with pytest.raises(UnitBenchError, match=r"pca/fold1/0-seed0/arm\.json: file not found"):
        verify(folder, corpus)


def test_slides_of_a_fold_are_those_that_are_drawn_here(folder, corpus):
    """A record that claims to have learned from the test slides changes nothing."""
    record = folder / "arms/pca/fold0/0-seed0/arm.json"
    said = read_json(record)
    said["seen"] |= {"fit": said["seen"]["test"] + said["seen"]["fit"]}
    record.write_text(json.dumps(said))
    assert verify(folder, corpus).differences == []


def test_a_folder_of_scores_alone_says_so(folder, corpus):
    shutil.rmtree(folder / "arms")
    with pytest.raises(UnitBenchError, match=r"keeps no embeddings, so its scores cannot be recomputed; verify"):
        verify(folder, corpus)


@pytest.mark.parametrize(("factor", "n"), [(1 + 1e-7, 0), (1 + 1e-5, 1)])
def test_values_are_equal_to_what_a_float32_can_tell(factor, n):
    rows = pd.read_parquet(SMALL / "scores.parquet")
    where = rows.index[(rows["task"] == "domain") & (rows["status"] == "ok")][0]
    other = rows.assign(value=rows["value"].where(rows.index != where, rows["value"] * factor))
    assert len(list(differences(rows, other))) == n
