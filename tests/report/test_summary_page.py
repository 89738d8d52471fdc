"""The summary of finished runs: its page, its picture and its tables, and folders that are refused."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from benchmark.core.errors import UnitBenchError
from benchmark.core.scores import COLUMNS, write_table
from benchmark.core.verified import mark
from benchmark.report.mlflow_summary import track_summary
from benchmark.report.summary import write_summary
from benchmark.stats.contests import PRIMARY
from benchmark.stats.rows import ENTRANT
from tests.helpers.command import unitbench
from tests.helpers.page import Page
from tests.helpers.paths import ROOT
from tests.helpers.rows import finished_run


def write_run(folder, rows):
    """A folder as a finished run leaves it."""
    write_table(folder / "scores.parquet", rows[COLUMNS])
    (folder / "manifest.json").write_text(json.dumps({"code": {"commit": "c" * 40}, "folds": {}}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three runs, of which the last has no `pca` and the first is verified."""
    place = tmp_path_factory.mktemp("results")
    found = [write_run(place / name, finished_run(name)) for name in ("one", "two")]
    third = finished_run("three")
    mark(found[0], {"one": "one000000000"}, 1, 0)
    return [*found, write_run(place / "three", third[third["method"] != "pca"])]


@pytest.fixture(scope="module")
def out(folders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("summary")
    write_summary(folders, folder)
    return folder


def test_it_leaves_a_page_a_picture_and_tables(out):
    names = {"summary.html", "summary.png", "summary.csv", "datasets.csv", "missing.csv"}
    assert {path.name for path in out.iterdir()} == names


def test_the_page_needs_no_other_file_and_says_what_is_missing_and_what_is_verified(out):
    text = (out / "summary.html").read_text()
    page = Page(text)
    links = [value for _, given in page.elements for name, value in given.items() if name in ("src", "href")]
    assert all(link.startswith(("#", "data:")) for link in links) and not re.search(r"https?://", text)
    said = " ".join(page.text)
    assert re.match(r"\d+ arms expected: \d+ finished, 3 failed, 0 not applicable", said)
    assert "3 runs on 3 datasets" in said and "no run of it on this dataset" in said
    assert said.count("verified") >= 1 and said.count("self-reported") == 2
    (headings,) = {len(re.findall("<h2", text))}
    assert headings == 5


def test_the_same_runs_give_the_same_bytes(folders, out, tmp_path):
    write_summary(folders, tmp_path)
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_what_lacks_a_dataset_has_no_rank_in_the_table(out):
    table = pd.read_csv(out / "summary.csv")
    domain = table[table["task"] == "domain"].set_index("name")
    assert pd.isna(domain.loc["pca", "mean_rank"]) and domain.loc["pca", "n_datasets"] == 2
    assert domain.loc["noise", "n_datasets"] == 3 and domain.loc["noise", "mean_rank"] > 1
    lacking = pd.read_csv(out / "missing.csv")
    lacking = lacking[(lacking["method"] == "pca") & (lacking["status"] == "not run")]
    assert set(lacking["dataset"]) == {"three"}


def test_one_run_of_one_method_has_tables_and_no_ranks(tmp_path):
    rows = finished_run("one")
    write_summary([write_run(tmp_path / "run", rows[rows["method"] == "pca"])], tmp_path / "out")
    assert "so nobody has a rank" in (tmp_path / "out/summary.html").read_text()
    assert pd.read_csv(tmp_path / "out/summary.csv")["mean_rank"].isna().all()


def test_an_old_reference_is_refused_in_one_line(tmp_path):
    done = unitbench("summary", ROOT / "results/archive/her2st", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.endswith("run it again\n")
    assert not (tmp_path / "out").exists()


def test_two_references_of_other_data_are_refused_and_one_of_them_is_not(tmp_path):
    both = [ROOT / "results/reference/corpora" / name for name in ("seqfish", "seqfish_xenium")]
    with pytest.raises(UnitBenchError, match="'seqfish_mouse_embryo' has other slides than in "):
        write_summary(both, tmp_path)
    write_summary(both[:1], tmp_path)
    table = pd.read_csv(tmp_path / "summary.csv")
    kept = pd.read_csv(both[0] / "leaderboard.csv")
    first = kept[(kept["metric"] == "macro_f1") & (kept["setting"] == "knn") & (kept["neighbours"] == 0)]
    assert len(table) == len(first[first["split"] == "donor"])


def test_a_folder_that_is_no_run_or_given_twice_is_refused(folders, tmp_path):
    with pytest.raises(UnitBenchError, match=r"scores\.parquet: file not found"):
        write_summary([tmp_path], tmp_path / "out")
    with pytest.raises(UnitBenchError, match="given twice"):
        write_summary([folders[0], folders[0]], tmp_path / "out")


def test_mlflow_has_the_ranks_and_the_scores_of_each_dataset(folders, tmp_path):
    found = write_summary(folders[:2], tmp_path)
    counts = track_summary(found, tmp_path)
    assert track_summary(found, tmp_path) == (0, 0, counts.added, 0)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("summary")
    runs = {run.data.tags["key"]: run.data.metrics for run in client.search_runs([experiment.experiment_id])}
    contest, table = next(iter(found.standings.items()))
    assert contest == PRIMARY
    for _, row in table.iterrows():
        metrics = runs["/".join(str(row[name]) for name in ENTRANT)]
        rank = metrics.get("01 rank macro-F1")
        assert rank == pytest.approx(row["mean_rank"], abs=1e-4) if pd.notna(row["mean_rank"]) else rank is None
        assert {"02 one macro-F1", "03 two macro-F1"} <= metrics.keys()
    # The best rank is first, and MLflow sorts columns by name.
    view = json.loads(experiment.tags["mlflow.sharedViewState.board"])
    assert view["orderByKey"] == "metrics.`01 rank macro-F1`" and view["orderByAsc"] is True
    assert "macro-F1, accuracy: k-NN on frozen embeddings" in experiment.tags["mlflow.note.content"]
