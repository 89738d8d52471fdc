"""Stores, files of several slides, labels in tables, positions of many forms and names of genes, as they are read."""

from __future__ import annotations

import gzip
import subprocess

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256
from benchmark.data.prepare import write_corpus
from benchmark.datasets import h5ad_file
from benchmark.datasets.h5ad_file import AnnDataFile, checksum, opened
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.label_table import LabelJoin, LabelTable
from tests.helpers.h5ad_folder import BINNED, Folder, a_file, pictured
from tests.helpers.harms import with_obs, with_spatial
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data

LABELS = {"path": "labels.csv", "barcode": "spot", "label": "domain"}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def same(one: ad.AnnData, two: ad.AnnData) -> bool:
    return (
        np.array_equal(one.X.toarray(), two.X.toarray())
        and one.obs.equals(two.obs)
        and one.var_names.equals(two.var_names)
        and all(np.array_equal(one.obsm[key], two.obsm[key]) for key in ("position", "lattice"))
    )


# Stores


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_a_store_is_the_slide_that_its_file_would_be(folder, convert, zarr_format):
    data = a_file(convert(a_file().X))
    data.obs["in_tissue"] = [1, 1, 0, 1, 1, 1]
    folder.write("one.h5ad", data)
    folder.write("two.zarr", data, zarr_format)
    one, two = folder.read()
    assert (one.uns["slide"], two.uns["slide"]) == ("one", "two")
    assert same(one, two) and one.n_obs == 5 and one.uns["join"] == two.uns["join"]


def test_the_checksum_of_a_store_is_that_of_the_list_that_sha256sum_makes(folder):
    folder.write("one.zarr", a_file())
    store = folder.path / "one.zarr"
    shell = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    listed = subprocess.run(shell, shell=True, cwd=store, capture_output=True, text=True, check=True).stdout.split()[0]
    assert checksum(store) == listed == folder.dataset().record()["files"][0]["sha256"]
    assert len(folder.read(files={"one.zarr": listed})) == 1
    some = next(path for path in sorted(store.rglob("*")) if path.is_file())
    some.write_bytes(some.read_bytes() + b" ")
    with pytest.raises(UnitBenchError, match=r"one\.zarr: altered: sha256 differs"):
        folder.read(files={"one.zarr": listed})


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_store_that_declares_far_more_than_it_holds_is_refused(folder):
    folder.write("one.zarr", a_file())
    store = folder.path / "one.zarr"
    zarr.create_array(store / "obsm/huge", shape=(10_000_000, 1_000), chunks=(1_000, 1_000), dtype="f4")
    zarr.consolidate_metadata(store)
    with pytest.raises(UnitBenchError, match="huge declares 10,000,000 × 1,000 values, and the file stores"):
        folder.read()


# Several slides in a file


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=12, max_size=12), st.sampled_from(["X", "layers/counts", "raw"]))
def test_the_slides_of_a_file_are_those_of_files_of_their_own(tmp_path_factory, sections, place):
    sections = ["a", "a", "b", "b", *sections]  # a slide has two spots at least
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(1.0, (16, 5)).astype(np.float32)) + sp.csr_matrix(np.eye(16, 5, dtype="f4"))
    obs = pd.DataFrame({"section": sections, "mouse": [f"m{name}" for name in sections]})
    obs = obs.assign(array_row=np.arange(16), array_col=np.arange(16), layer="L1").set_index(obs.index.astype(str))
    data = ad.AnnData(counts * (0.5 if place != "X" else 1), obs=obs, layers={"counts": counts.toarray()})
    data.raw = ad.AnnData(counts.tocsc(), var=data.var)
    whole, apart = Folder(tmp_path_factory.mktemp("whole")), Folder(tmp_path_factory.mktemp("apart"))
    whole.write("all three.h5ad", data)
    for name in (names := [name for name in "abc" if sections.count(name) > 1]):
        apart.write(f"{name}.h5ad", data[data.obs["section"] == name].copy())
    if sections.count("c") == 1:  # one spot is no slide
        whole.write("all three.h5ad", data[data.obs["section"] != "c"].copy())
    described = {"counts": place, "donor": {"obs": "mouse"}}
    dataset = whole.dataset(slide={"obs": "section"}, **described)
    slides = {slide.uns["slide"]: slide for slide in dataset.slides()}
    assert sorted(slides) == names
    for one in apart.read(**described):
        assert same(one, slides[one.uns["slide"]])
    assert dataset.record()["donors"] == {name: f"m{name}" for name in names}


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("dense", [True, False])
def test_of_the_counts_of_a_file_only_those_of_one_slide_are_read_at_a_time(folder, monkeypatch, suffix, dense):
    data = with_obs(section=list("ababab"))
    data.layers["counts"] = data.X if dense else sp.csr_matrix(data.X)
    folder.write(f"both.{suffix}", data)
    monkeypatch.setattr(h5ad_file, "BLOCK", 2 * 3 * 4)  # two rows
    read, taken = AnnDataFile.read, []
    monkeypatch.setattr(AnnDataFile, "read", lambda self, name: taken.append(name) or read(self, name))
    a, b = folder.read(slide={"obs": "section"}, counts="layers/counts")
    assert np.array_equal(a.X.toarray(), data.X[::2]) and np.array_equal(b.X.toarray(), data.X[1::2])
    assert not {name for name in taken if name.startswith(("X", "layers", "raw"))}


def test_donors_and_groups_of_the_slides_of_a_file_may_stand_in_the_description(folder):
    folder.write("both.h5ad", with_obs(section=[1, 1, 1, 2, 2, 2], mouse=list("xxxyyy")))
    one, two = folder.read(slide={"obs": "section"}, donor={"obs": "mouse"}, group={1: "left", 2: "right"})
    assert [slide.uns["slide"] for slide in (one, two)] == ["1", "2"]
    assert (one.uns["donor"], two.uns["donor"], two.uns["group"]) == ("x", "y", "right")
    with pytest.raises(UnitBenchError, match=r"2 values of donor in obs\['mouse'\] of slide '3'"):
        folder.write("both.h5ad", with_obs(section=[3] * 6, mouse=list("xxxyyy")))
        folder.read(slide={"obs": "section"}, donor={"obs": "mouse"})


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_the_image_of_a_slide_is_the_one_of_its_name(folder, suffix):
    grey = {name: np.full((5, 60), value, np.uint8) for name, value in (("a", 10), ("b", 200))}
    data = pictured(grey["a"])
    data.obs["section"] = list("aaabbb")
    library = data.uns["spatial"]["library"]
    data.uns["spatial"] = {name: library | {"images": {"lowres": grey[name]}} for name in "ab"}
    data.raw = data
    folder.write(f"both.{suffix}", data)
    a, b = folder.read(counts="raw", slide={"obs": "section"}, image={"stain": "H&E", "kind": "colour"})
    assert (a.uns["image"]["pixels"] == 10).all() and (b.uns["image"]["pixels"] == 200).all()


# Labels in a table


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".parquet"])
def test_labels_are_joined_by_barcode_and_what_has_no_match_is_counted(folder, tmp_path, suffix):
    table = pd.DataFrame(
        {
            "spot": ["spot3", "spot1", "spot5", "spot9", "spot0", "spot7"],
            "section": ["one", "one", "one", "one", "two", "three"],
            "domain": ["L2", " L1 ", "NaN", "L1", "unsure", "L9"],
        }
    )
    path = folder.path / f"labels{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    for name in ("one.h5ad", "two.h5ad"):
        folder.write(name, a_file())
    lines: list[str] = []
    dataset = folder.dataset(label=None, label_table=LABELS | {"path": path.name, "slide": "section"})
    corpus = write_corpus(dataset.slides(), tmp_path / "corpus", {}, lines.append)
    label = corpus["one"].obs["label"]
    assert label.astype(object).where(label.notna(), None).tolist() == [None, "L1", None, "L2", None, None]
    assert label.cat.categories.tolist() == ["L1", "L2"] and corpus.labelled == ("one",)
    assert lines == [
        "slide one: 3 spots without a row in the label table, 1 values of label read as missing",
        "slide two: 5 spots without a row in the label table, 1 values of label read as missing, "
        "2 rows of the label table for no spot of any slide, no labels",
    ]


def test_one_table_serves_slides_that_share_no_barcode(folder):
    folder.write("one.h5ad", a_file())
    other = a_file()
    other.obs_names = [f"other{i}" for i in range(6)]
    folder.write("two.h5ad", other)
    (folder.path / "labels.csv").write_text("spot,domain\nspot2,A\nother2,B\n")
    one, two = folder.read(label=None, label_table=LABELS)
    assert one.obs["label"].dropna().to_dict() == {"spot2": "A"}
    assert two.obs["label"].dropna().to_dict() == {"other2": "B"}


@given(st.dictionaries(st.integers(0, 30), st.sampled_from(["A", "B", "", "nan", "None", " A"]), min_size=1))
@settings(max_examples=30, deadline=None)
def test_every_spot_has_the_label_of_its_row_and_words_for_nothing_are_no_class(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    pd.DataFrame({"spot": map(str, rows), "domain": rows.values()}).to_csv(path, index=False)
    join = LabelJoin(LabelTable(**LABELS), path.parent)
    spots = [str(number) for number in range(15)]
    got, noted = join.labels("one", pd.Index(spots))
    meant = [{"A": "A", " A": "A", "B": "B"}.get(rows.get(int(spot))) for spot in spots]
    assert [None if pd.isna(label) else label for label in got] == meant
    assert set(got.categories) == set(meant) - {None}
    assert noted["spots_without_a_row_in_the_label_table"] == sum(int(spot) not in rows for spot in spots)
    if any(number < 15 for number in rows):
        assert join.rows_left(["one"], pd.Index(spots)) == sum(number >= 15 for number in rows)


def test_the_record_changes_with_a_table(folder):
    folder.write("one.h5ad", a_file())
    (folder.path / "labels.csv").write_text("spot,domain\nspot2,A\n")
    (folder.describe.parent / "symbols.csv").write_text("id,symbol\na,A\n")
    dataset = folder.dataset(
        label=None, label_table=LABELS, genes={"table": "symbols.csv", "from": "id", "to": "symbol"}
    )
    record = dataset.record()
    assert record["tables"]["labels.csv"] == sha256(folder.path / "labels.csv")
    (folder.describe.parent / "symbols.csv").write_text("id,symbol\na,B\n")
    assert dataset.record() != record


# Positions


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=6, max_size=6), st.sampled_from([0.5, 2]))
@settings(max_examples=6, deadline=None)
def test_all_forms_of_positions_are_the_same_lattice(tmp_path_factory, places, scale):
    microns = np.array(places, dtype=float)
    x, y = microns.T
    named = pd.DataFrame({"down": y, "across": x}, index=a_file().obs_names)
    forms = [
        (with_spatial(microns), {}),
        (with_spatial(microns / scale), {"scale": scale}),
        (with_spatial(named), {"axes": ["across", "down"]}),
        (with_obs(px=x / scale, py=y / scale), {"x": "px", "y": "py", "scale": scale}),
    ]
    slides = []
    for data, keys in forms:
        folder = Folder(tmp_path_factory.mktemp("form"))
        folder.write("one.h5ad", data)
        slides += folder.read(lattice=BINNED | {"pitch": 50} | keys)
    for slide in slides:
        assert np.allclose(slide.obsm["position"], slides[0].obsm["position"], atol=1e-5)
        assert np.array_equal(slide.obsm["lattice"], slides[0].obsm["lattice"])
        assert slide.uns["lattice"]["pitch"] == 50


def test_microns_per_pixel_of_the_positions_are_those_of_the_image(folder):
    data = pictured(np.zeros((5, 60), np.uint8), scale=0.5)  # the image has half as many pixels a side
    folder.write("one.h5ad", data)
    (slide,) = folder.read(lattice=BINNED | {"scale": 0.25}, image={"stain": "DAPI", "kind": "colour"})
    assert slide.uns["image"]["microns_per_pixel"] == 0.5


# Genes


def test_genes_of_raw_counts_are_named_by_the_column_of_raw(folder):
    data = a_file()
    data.var["symbol"] = ["X", "Y", "Z"]
    data.raw = data
    data.var["symbol"] = ["no", "no", "no"]
    folder.write("one.h5ad", data)
    (slide,) = folder.read(counts="raw", genes={"column": "symbol"})
    assert slide.var_names.tolist() == ["X", "Y", "Z"] and np.array_equal(slide.X.toarray(), a_file().X)


def test_genes_of_one_name_are_summed_and_prepare_says_so(folder, tmp_path):
    (folder.describe.parent / "symbols.csv").write_text("id,symbol\na,A\nc,A\n")
    folder.write("one.h5ad", a_file())
    lines: list[str] = []
    genes = {"table": "symbols.csv", "from": "id", "to": "symbol"}
    corpus = write_corpus(folder.dataset(genes=genes).slides(), tmp_path / "corpus", {}, lines.append)
    assert corpus.genes.tolist() == ["A", "b"]
    assert np.array_equal(corpus["one"].X.toarray()[:, 0], a_file().X[:, 0] + a_file().X[:, 2])
    assert "1 genes without a name in the table, 1 genes added to one of the same name" in lines[0]


@needs_data
def test_the_genes_of_dlpfc_have_symbols_of_which_her2st_has_3104(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    slide = next(H5adFolder(describe=CONFIG / "datasets/dlpfc_symbols.yaml").slides())
    with opened(DATA / "dlpfc/151673.h5ad") as file:
        counts, ids = file.read("X"), file.read("var").index
    assert (counts != slide.X).nnz == 0
    assert dict(zip(ids, slide.var_names, strict=True))["ENSG00000197971"] == "MBP"
    assert not slide.var_names.str.startswith("ENSG").any() and slide.n_vars == 3837
    her2st = set[str]()
    for path in (DATA / "her2st/data/ST-cnts").glob("*.tsv.gz"):
        with gzip.open(path, "rt") as file:
            her2st |= set(file.readline().split())
    assert len(her2st) == 18758 and len(her2st.intersection(slide.var_names)) == 3104
