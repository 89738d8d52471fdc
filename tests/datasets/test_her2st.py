"""her2st as published: every spot, every label, and an error of one line for a damaged copy."""

import gzip
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.datasets.her2st import Her2st, source
from tests.helpers.real import DATA, needs_data


@pytest.fixture(scope="module")
def slides():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITBENCH_DATA", str(DATA))
        return {slide.uns["slide"]: slide for slide in Her2st().slides()}


def test_the_record_names_36_slides_of_8_donors_and_the_sha256_of_each_file():
    record = Her2st().record()
    assert len(record["donors"]) == 36 and set(record["donors"].values()) == set("ABCDEFGH")
    assert len(record["files"]) == 36 + 36 + 8 + 7
    assert all(re.fullmatch(r"[0-9a-f]{64}", file["sha256"]) for file in record["files"])
    assert {image["path"] for image in record["images"].values()} <= {file["path"] for file in record["files"]}


@needs_data
def test_the_local_copy_is_the_published_one():
    for file in source()["files"]:
        assert sha256(DATA / "her2st" / file["path"]) == file["sha256"]


@pytest.mark.slow
@needs_data
def test_all_spots_and_genes_are_read(slides):
    genes = [set(slide.var_names) for slide in slides.values()]
    assert sum(slide.n_obs for slide in slides.values()) == 13_620
    assert len(set.union(*genes)) == 18_758
    assert len(set.intersection(*genes)) == 11_871


@pytest.mark.slow
@needs_data
def test_the_pathologists_labels_reach_their_spots(slides):
    labelled = {name: slide.obs["label"] for name, slide in slides.items() if "label" in slide.obs}
    assert set(labelled) == {"A1", "B1", "C1", "D1", "E1", "F1", "G2", "H1"}
    counts = sum(label.value_counts().reindex(LABELS, fill_value=0) for label in labelled.values())
    # The label files hold 6 more rows: their spots have no counts.
    assert counts.to_dict() == LABELS
    assert [slides[s].uns["join"]["labels_without_counts"] for s in labelled] == [2, 0, 1, 3, 0, 0, 0, 0]


LABELS = {
    "invasive cancer": 1758,
    "connective tissue": 617,
    "adipose tissue": 295,
    "immune infiltrate": 252,
    "cancer in situ": 138,
    "breast glands": 97,
}


@pytest.mark.slow
@needs_data
def test_a_spot_has_the_counts_and_the_position_of_its_row(slides):
    with gzip.open(DATA / "her2st/data/ST-cnts/C1.tsv.gz", "rt") as file:
        genes, first = (line.rstrip("\n").split("\t") for line in (next(file), next(file)))
    slide = slides["C1"]
    assert slide.obs_names[0] == first[0] and list(slide.var_names) == genes[1:]
    assert np.array_equal(slide.X[0].toarray().ravel(), np.array(first[1:], dtype=float))
    x, y = (int(part) for part in first[0].split("x"))
    least = np.array([name.split("x") for name in slide.obs_names], dtype=int).min(axis=0)
    assert slide.obsm["lattice"][0].tolist() == [y - least[1], x - least[0]]


@pytest.mark.slow
@needs_data
def test_the_lattice_lies_as_the_tissue_does_in_the_image(slides):
    for slide in slides.values():
        for axis in (0, 1):  # row with y, column with x
            r = np.corrcoef(slide.obsm["lattice"][:, axis], slide.obsm["pixel"][:, 1 - axis])[0, 1]
            assert r > 0.99
        assert slide.uns["lattice"]["n_shared"] == 0


@pytest.mark.slow
@needs_data
def test_images_are_recorded_with_their_scale(slides):
    images = {name: slide.uns["image"] for name, slide in slides.items() if "image" in slide.uns}
    assert set(images) == {"A1", "B4", "C2", "C3", "C4", "C5", "C6"}
    for name in set(images) - {"A1"}:
        assert images[name]["microns_per_pixel"] == pytest.approx(200 / 290, rel=0.02)
    scaled = slides["A1"].obsm["pixel"].max(axis=0) * images["A1"]["scale"]
    assert (scaled < [2000, 2138]).all()


def test_an_unknown_slide_is_named():
    with pytest.raises(UnitBenchError, match="no slide 'A7'; did you mean"):
        next(Her2st(only=["A7"]).slides())


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A local copy of slide C1 that may be damaged."""
    for path in (
        "ST-cnts/C1.tsv.gz",
        "ST-spotfiles/C1_selection.tsv",
        "ST-pat/lbl/C1_labeled_coordinates.tsv",
    ):
        target = tmp_path / "her2st" / "data" / path
        target.parent.mkdir(parents=True)
        shutil.copyfile(DATA / "her2st" / "data" / path, target)
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path))
    return tmp_path / "her2st" / "data"


@pytest.mark.slow
@needs_data
def test_without_a_local_copy_a_slide_is_downloaded(tmp_path, monkeypatch, slides):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=DATA / "her2st")) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        monkeypatch.setitem(source(), "url", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("UNITBENCH_CACHE", str(tmp_path))
        monkeypatch.delenv("UNITBENCH_DATA", raising=False)
        (downloaded,) = Her2st(only=["C1"]).slides()
        server.shutdown()
    assert (downloaded.X != slides["C1"].X).nnz == 0
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 3


def message_for_c1() -> str:
    with pytest.raises(UnitBenchError) as caught:
        next(Her2st(only=["C1"]).slides())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_data
def test_a_missing_file_is_named(copy):
    (copy / "ST-spotfiles/C1_selection.tsv").unlink()
    assert re.search(r"C1_selection.tsv: file not found; restore it, or unset UNITBENCH_DATA", message_for_c1())


@needs_data
def test_a_truncated_file_is_named(copy):
    path = copy / "ST-cnts/C1.tsv.gz"
    path.write_bytes(path.read_bytes()[:100_000])
    assert "C1.tsv.gz: truncated: 100000 of 752999 bytes" in message_for_c1()


@needs_data
def test_an_altered_file_is_named(copy):
    path = copy / "ST-pat/lbl/C1_labeled_coordinates.tsv"
    path.write_text(path.read_text().replace("invasive cancer", "adipose  tissue"))
    assert "C1_labeled_coordinates.tsv: altered: sha256 differs from the record" in message_for_c1()
