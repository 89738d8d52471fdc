"""Slides of many kinds that are read right: labels, counts in a layer, positions in a table, files in subfolders."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.core.files import sha256
from benchmark.data.prepare import write_corpus
from tests.helpers.h5ad_folder import BINNED, PICTURE, Folder, a_file, pictured
from tests.helpers.harms import with_obs, with_raw, with_spatial


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_slide_without_labels_is_learned_from_beside_labelled_ones(folder, tmp_path):
    unlabelled = a_file()
    del unlabelled.obs["layer"]
    folder.write("one.h5ad", a_file())
    folder.write("two.h5ad", unlabelled)
    folder.write("six.h5ad", with_obs(layer=np.nan))
    lines = []
    corpus = write_corpus(folder.dataset().slides(), tmp_path / "corpus", {}, lines.append)
    assert corpus.labelled == ("one",)
    assert lines == ["slide one: 1 values of label read as missing", "slide six: no labels", "slide two: no labels"]


def test_words_for_nothing_and_blanks_make_no_class(folder):
    folder.write("one.h5ad", with_obs(layer=["L1", " L1 ", "nan", "", "None", "NA"]))
    (one,) = folder.read()
    assert one.obs["label"].cat.categories.tolist() == ["L1"]
    assert one.obs["label"].notna().tolist() == [True, True, False, False, False, False]
    assert one.uns["join"]["values_of_label_read_as_missing"] == 4


def test_a_category_that_no_spot_has_is_no_class(folder):
    folder.write("one.h5ad", with_obs(layer=pd.Categorical(["a"] * 3 + ["b"] * 3, categories=["a", "b", "ghost"])))
    assert folder.read()[0].obs["label"].cat.categories.tolist() == ["a", "b"]


def test_numbered_labels_are_the_same_with_and_without_a_gap(folder):
    folder.write("one.h5ad", with_obs(layer=[1, 1, 2, 2, 3, 3]))
    folder.write("two.h5ad", with_obs(layer=[1, np.nan, 2, 2, 3, 3]))
    one, two = folder.read()
    assert one.obs["label"].cat.categories.tolist() == two.obs["label"].cat.categories.tolist() == ["1", "2", "3"]


def test_kept_columns_reach_the_corpus(folder, tmp_path):
    folder.write("one.h5ad", with_obs(cell_type=["x", "y", " y", "NA", "x", "x"]))
    folder.write("two.h5ad", a_file())
    corpus = write_corpus(folder.dataset(keep=["cell_type"]).slides(), tmp_path / "corpus", {})
    assert corpus.labelled_by("cell_type") == ("one",)
    assert corpus["one"].obs["cell_type"].tolist()[:3] == ["x", "y", "y"]


def test_counts_come_from_the_part_that_the_description_names(folder):
    data = with_raw()  # X holds a half; raw holds 0 to 17
    data.layers["whole"] = np.full((6, 3), 2.0)
    folder.write("one.h5ad", data)
    assert np.array_equal(folder.read(counts="raw")[0].X.toarray(), a_file().X)
    assert (folder.read(counts="layers/whole")[0].X.toarray() == 2).all()


def test_spots_off_the_tissue_are_left_out_and_others_kept_and_counted(folder, tmp_path):
    counts = np.ones((6, 3))
    counts[1] = 0
    data = a_file(counts)
    data.obs["in_tissue"] = [1, 1, 1, 1, 1, 0]
    data.obs["array_col"] = [0, 2, 4, 4, 8, 10]
    folder.write("one.h5ad", data)
    lines = []
    corpus = write_corpus(folder.dataset().slides(), tmp_path / "corpus", {}, lines.append)
    noted = corpus.record["slides"]["one"]["noted"]
    assert corpus["one"].obs_names.tolist() == [f"spot{i}" for i in range(5)]
    assert (noted["spots_off_the_tissue_left_out"], noted["spots_without_counts"]) == (1, 1)
    assert noted["spots_at_the_place_of_another"] == 1
    assert "1 spots without counts" in lines[0] and "1 spots off the tissue left out" in lines[0]


@pytest.mark.parametrize(
    "spatial",
    [
        lambda xy, names: pd.DataFrame(xy, index=names, columns=["x", "y"]),
        lambda xy, names: pd.DataFrame(xy[:, ::-1], index=names, columns=["y", "x"]),
        lambda xy, names: np.hstack([xy, np.full((6, 1), 7.0)]),
    ],
)
def test_positions_may_stand_in_a_table(folder, spatial):
    data = a_file()
    folder.write("one.h5ad", with_spatial(spatial(data.obsm["spatial"], data.obs_names)))
    (one,) = folder.read(lattice=BINNED)
    assert one.obsm["lattice"].tolist() == [[0, i] for i in range(6)]


def test_numbers_that_are_written_as_text_are_positions(folder):
    folder.write("one.h5ad", with_obs(array_col=["0", "2", "4", "6", "8", "10"]))
    assert folder.read()[0].obsm["lattice"][:, 1].tolist() == [0, 1, 2, 3, 4, 5]


def test_each_listed_file_of_a_subfolder_is_held_to_its_own_checksum(folder):
    folder.write("a/one.h5ad", a_file())
    folder.write("b/two.h5ad", a_file(np.ones((6, 3))))
    files = {name: sha256(folder.path / name) for name in ("a/one.h5ad", "b/two.h5ad")}
    dataset = folder.dataset(files=files)
    assert [slide.uns["slide"] for slide in dataset.slides()] == ["one", "two"]
    assert {file["path"]: file["sha256"] for file in dataset.record()["files"]} == files
    swapped = dict(zip(files, reversed(files.values()), strict=True))
    with pytest.raises(Exception, match=r"a/one.h5ad: altered"):
        folder.read(files=swapped)


def test_hidden_files_are_no_slides_and_any_case_of_the_suffix_is_read(folder):
    folder.write("one.h5ad", a_file())
    (folder.path / "one.h5ad").rename(folder.path / "one.H5AD")
    (folder.path / "._one.h5ad").write_bytes(b"x")
    (folder.path / ".DS_Store").write_bytes(b"x")
    (folder.path / "linked.h5ad").symlink_to(folder.path / "one.H5AD")
    assert [slide.uns["slide"] for slide in folder.read()] == ["linked", "one"]
    assert len(folder.dataset().record()["files"]) == 2


def test_numbers_serve_as_names_of_slides_and_donors(folder):
    folder.write("151673.h5ad", a_file())
    (slide,) = folder.read(donor={151673: 7})
    assert slide.uns["donor"] == "7"
    folder.write("151673.h5ad", a_file(donor=7.0))
    assert folder.read()[0].uns["donor"] == folder.dataset().record()["donors"]["151673"] == "7"


@pytest.mark.parametrize(
    "changes", [{"label": None}, {"counts": "raw"}, {"donor": {"one": "D2"}}, {"unlabelled": []}, {"keep": ["layer"]}]
)
def test_the_record_changes_with_the_description(folder, changes):
    folder.write("one.h5ad", a_file())
    record = folder.dataset().record()
    assert json.loads(json.dumps(record)) == record and record["name"] == "two"
    assert folder.dataset(**changes).record() != record


def test_the_record_changes_with_a_file_and_not_with_the_place_of_the_folder(folder, tmp_path):
    folder.write("one.h5ad", a_file())
    record = folder.dataset().record()
    moved = folder.path.rename(tmp_path / "moved")
    assert folder.dataset(folder=str(moved)).record() == record
    a_file(np.ones((6, 3))).write_h5ad(moved / "one.h5ad")
    assert folder.dataset(folder=str(moved)).record() != record


def test_a_slides_image_is_brought_to_eight_bits(folder):
    pixels = np.linspace(0, 1, 3 * 5 * 60).reshape(3, 5, 60)  # channel first
    folder.write("one.h5ad", pictured(pixels))
    image = folder.read(image=PICTURE)[0].uns["image"]
    assert image["pixels"].shape == (5, 60, 3) and image["pixels"].dtype == np.uint8
    assert image["pixels"][-1, -1].tolist() == [round(255 * v) for v in pixels[:, -1, -1]]
    assert image["microns_per_pixel"] == 10
