"""Visium HD: bins of a folder of Space Ranger, with the matrix in the folder itself and without a segmentation."""

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.datasets.visium_hd import VisiumHD
from tests.helpers.tenx import Folder, bins, write_bins


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path, VisiumHD)
    write_bins(folder)
    return folder


def test_bins_are_a_square_array(folder):
    (slide,) = folder.read(image={"stain": "H&E"})
    assert slide.n_obs == 11 and slide.obs_names.tolist() == bins()["barcode"].tolist()[:11]
    assert slide.obsm["lattice"][:5].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]
    assert {key: slide.uns["lattice"][key] for key in ("kind", "pitch", "pitch_unit")} == {
        "kind": "square", "pitch": 8, "pitch_unit": "µm",
    }  # fmt: skip
    assert slide.uns["image"]["microns_per_pixel"] == pytest.approx(4)  # 8 µm are 4 pixels, 2 of the file
    assert slide.obsm["pixel"][1].tolist() == [14, 20]


def test_the_size_chooses_the_folder(folder):
    write_bins(folder, 16)
    (slide,) = folder.read(bin_size=16)
    assert slide.obs_names[0].startswith("s_016um") and slide.uns["lattice"]["pitch"] == 16
    with pytest.raises(UnitBenchError, match=r"no bins of 2 µm; it has bins of 8, 16 µm; correct `bin_size`"):
        folder.read(bin_size=2)


def test_the_folders_of_bins_may_lie_in_the_folder_itself(tmp_path):
    folder = Folder(tmp_path, VisiumHD)
    write_bins(folder, inside="")
    assert folder.read()[0].n_obs == 11


def test_the_record_names_the_files_of_the_bins(folder):
    write_bins(folder, 16)
    assert [file["path"] for file in folder.dataset().record()["files"]] == [
        "binned_outputs/square_008um/filtered_feature_bc_matrix.h5",
        "binned_outputs/square_008um/spatial/tissue_positions.parquet",
    ]
