"""Datasets by name, and folders of `.h5ad` slides: what is read, and errors of one line for what is wrong."""

import json
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.core import registry
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.simulated import Simulated
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data

DESCRIPTIONS = CONFIG / "datasets"
BROKEN = pytest.mark.filterwarnings("ignore:.*names are not unique")
DESCRIPTION = {
    "name": "two",
    "title": "Two small slides",
    "source": "made here",
    "licence": "none",
    "technology": "10x Visium",
    "label": "layer",
    "unlabelled": ["unsure"],
    "donor": {"uns": "donor"},
    "lattice": {"kind": "hex", "pitch": 100, "unit": "µm"},
}


def a_file(counts=None) -> ad.AnnData:
    """A row of six Visium spots and three genes."""
    counts = np.arange(18, dtype=np.float32).reshape(6, 3) if counts is None else counts
    obs = pd.DataFrame(
        {"array_row": 0, "array_col": np.arange(6) * 2, "layer": ["L1", "L1", "L2", "L2", "unsure", None]},
        index=[f"spot{i}" for i in range(6)],
    )
    data = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=["a", "b", "c"]))
    data.obsm["spatial"] = np.stack([np.arange(6) * 10.0, np.zeros(6)], axis=1)
    data.uns["donor"] = "D1"
    return data


@pytest.fixture
def folder(tmp_path):
    """A folder with two slides; `read(**changes)` reads it with a changed description."""

    class Folder:
        path = tmp_path / "slides"
        describe = tmp_path / "two.yaml"

        def write(self, name, data):
            data.write_h5ad(self.path / name)

        def dataset(self, **changes):
            values = DESCRIPTION | {"folder": str(self.path)} | changes
            self.describe.write_text(yaml.safe_dump(values))
            return H5adFolder(describe=self.describe)

        def read(self, **changes):
            return list(self.dataset(**changes).slides())

    folder = Folder()
    folder.path.mkdir()
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
    ("changes", "message"),
    [
        ({"lable": "layer"}, "two.yaml: unknown key 'lable'; did you mean 'label'?"),
        ({"lattice": {"kind": "hex", "pitch": 1, "unti": "µm"}}, "did you mean 'unit'?"),
        ({"lattice": {"kind": "hexagon", "pitch": 1, "unit": "µm"}}, "lattice.kind"),
        (
            {"label": "domain"},
            "the label column is absent: no obs['domain']; columns: array_row, array_col, layer",
        ),
        ({"donor": {"uns": "doner"}}, "no donor: 'doner' is not in its uns; did you mean 'donor'?"),
        ({"donor": {"won": "D1"}}, "no donor: 'one' is not in its description; did you mean 'won'?"),
        ({"donor": {"obs": "layer"}}, "values of donor in obs['layer']"),
        (
            {"lattice": {"kind": "square", "row": "y", "pitch": 1, "unit": "µm"}},
            "one.h5ad: positions are missing: no obs['y']",
        ),
        (
            {"lattice": {"kind": "binned", "spatial": "xy", "pitch": 1, "unit": "µm"}},
            "one.h5ad: positions are missing: no obsm['xy']",
        ),
        ({"files": {"three.h5ad": "0" * 64}}, "three.h5ad: file not found"),
        ({"files": {"one.h5ad": "0" * 64}}, "one.h5ad: altered: sha256 differs from the record"),
        ({"folder": "/nowhere"}, "no folder /nowhere; set UNITBENCH_DATA"),
    ],
)
def test_a_description_that_does_not_fit_is_an_error_of_one_line(folder, changes, message):
    with pytest.raises(UnitBenchError) as caught:
        folder.read(**changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def bad_counts(value):
    counts = np.ones((6, 3), dtype=np.float32)
    counts[2, 1] = value
    return a_file(counts)


def renamed(axis):
    data = a_file()
    setattr(data, axis, ["x", "x", *getattr(data, axis)[2:]])
    return data


def lost_position():
    data = a_file()
    data.obs["array_row"] = data.obs["array_row"].astype(float)
    data.obs.iloc[3, 0] = np.nan
    return data


def mixed_parity():
    data = a_file()
    data.obs["array_col"] = np.arange(6)
    return data


@BROKEN
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bad_counts(-3), "negative counts (least -3)"),
        (lambda: bad_counts(np.nan), "NaN or infinite counts"),
        (lambda: bad_counts(0.5), "counts are not whole numbers"),
        (lambda: renamed("obs_names"), "duplicate spot 'x'"),
        (lambda: renamed("var_names"), "duplicate gene 'x'"),
        (lambda: lost_position(), "positions are missing: 1 spot(s) have none"),
        (lambda: mixed_parity(), "row + column is odd for some"),
        (lambda: ad.AnnData(obs=a_file().obs, var=a_file().var, uns=a_file().uns), "no counts: X is empty"),
        (lambda: a_file()[:1].copy(), "1 spot(s); a slide needs at least 2"),
        (lambda: a_file()[:0].copy(), "0 spots; a slide needs at least 2"),
    ],
)
def test_a_bad_slide_is_an_error_of_one_line_that_names_its_file(folder, make, message):
    folder.write("one.h5ad", make())
    with pytest.raises(UnitBenchError) as caught:
        folder.read()
    assert str(caught.value).startswith(f"{folder.path / 'one.h5ad'}: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_file_is_an_error_of_one_line(folder):
    path = folder.path / "two.h5ad"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UnitBenchError, match=r"two.h5ad: cannot be read \(.*truncated") as caught:
        folder.read()
    assert "\n" not in str(caught.value)


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
