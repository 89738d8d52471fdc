"""Datasets by name, and folders of `.h5ad` slides: what is read, and errors of one line for what is wrong."""

import json
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest

from benchmark.core import registry
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.simulated import Simulated
from tests.helpers.h5ad_folder import Folder, a_file
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data

DESCRIPTIONS = CONFIG / "datasets"


@pytest.fixture
def folder(tmp_path):
    """A folder with two slides."""
    folder = Folder(tmp_path)
    folder.write("one.h5ad", a_file())
    folder.write("two.h5ad", a_file())
    return folder


def test_options_reach_the_dataset_and_wrong_ones_are_an_error_of_one_line(monkeypatch):
    monkeypatch.setattr(registry, "find", lambda kind, name: SimpleNamespace(load=lambda: Simulated))
    made = registry.make("datasets", "simulated", {"n_donors": 2, "shape": [10, 12]})
    assert made == Simulated(n_donors=2, shape=(10, 12))
    for options, message in [
        ({"n_donor": 2}, r"dataset 'simulated': unknown option 'n_donor'; did you mean 'n_donors'\?"),
        ({"n_donors": 0}, "dataset 'simulated': option n_donors: Input should be greater than or equal to 1"),
        ({"shape": [10]}, "dataset 'simulated': option shape.1: Field required"),
    ]:
        with pytest.raises(UnitBenchError, match=message):
            registry.make("datasets", "simulated", options)


def test_a_folder_is_read_as_described(folder):
    one, two = folder.read(group={"one": "left", "two": "right"})
    assert [s.uns["slide"] for s in (one, two)] == ["one", "two"]
    assert (one.uns["donor"], one.uns["group"], two.uns["group"]) == ("D1", "left", "right")
    assert one.obs["label"].tolist()[:4] == ["L1", "L1", "L2", "L2"]
    assert one.obs["label"].isna().tolist() == [False] * 4 + [True] * 2
    assert np.array_equal(one.X.toarray(), a_file().X)
    assert one.obsm["position"][:, 1].tolist() == [0, 1, 2, 3, 4, 5]


def test_cells_are_binned_and_donors_read_from_a_column(folder):
    data = a_file()
    data.obs["mouse"] = 7
    folder.write("one.h5ad", data)
    (one,) = folder.read(
        files={"one.h5ad": sha256(folder.path / "one.h5ad")},
        donor={"obs": "mouse"},
        lattice={"kind": "binned", "pitch": 20, "unit": "µm"},
    )
    assert one.uns["donor"] == "7"
    assert one.obsm["lattice"].tolist() == [[0, 0], [0, 0], [0, 1], [0, 1], [0, 2], [0, 2]]
    assert one.uns["lattice"]["n_shared"] == 6


def test_an_unlabelled_folder_has_no_labels(folder):
    assert "label" not in folder.read(label=None)[0].obs


def test_the_record_is_json_with_the_sha256_of_each_file(folder):
    record = folder.dataset().record()
    assert json.loads(json.dumps(record)) == record
    assert record["files"][0]["sha256"] == sha256(folder.path / "one.h5ad")
    assert record["donors"] == record["groups"] == {"one": "D1", "two": "D1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("a: [", "no valid YAML"), ("just words", "expected keys and values")],
)
def test_a_missing_or_wrong_description_is_an_error_of_one_line(tmp_path, text, message):
    path = tmp_path / "about.yaml"
    if text:
        path.write_text(text)
    with pytest.raises(UnitBenchError, match=f"about.yaml: {message}"):
        next(H5adFolder(describe=path).slides())


@needs_data
def test_dlpfc_has_four_sections_in_two_pairs_of_one_donor(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    dataset = H5adFolder(describe=DESCRIPTIONS / "dlpfc.yaml")
    slides = {slide.uns["slide"]: slide for slide in dataset.slides()}
    assert {s.uns["group"] for s in slides.values()} == {"151673-74", "151675-76"}
    assert {s.uns["donor"] for s in slides.values()} == {"Br8100"}
    for name, slide in slides.items():
        raw = ad.read_h5ad(DATA / "dlpfc" / f"{name}.h5ad")
        assert slide.shape == raw.shape and slide.n_vars == 3837
        assert slide.obs["label"].astype(object).equals(raw.obs["layer"].astype(object))
        assert slide.uns["lattice"]["shape"] == [78, 64]
        assert (slide.uns["lattice"]["n_shared"], slide.uns["lattice"]["n_outside"]) == (0, 0)
    assert set(slides["151673"].obs["label"].dropna()) == {"L1", "L2", "L3", "L4", "L5", "L6", "WM"}


@needs_data
def test_seqfish_has_two_slices_of_each_of_two_embryos(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    slides = list(H5adFolder(describe=DESCRIPTIONS / "seqfish_mouse_embryo.yaml").slides())
    assert sum(slide.n_obs for slide in slides) == 6387
    assert {slide.n_vars for slide in slides} == {351}
    assert [slide.uns["group"] for slide in slides] == ["embryo1", "embryo1", "embryo2", "embryo2"]
    assert len(set().union(*(slide.obs["label"].cat.categories for slide in slides))) == 21
    for slide in slides:
        assert slide.uns["lattice"]["n_spots"] == slide.n_obs
        assert 0 < slide.uns["lattice"]["n_shared"] < slide.n_obs / 2
