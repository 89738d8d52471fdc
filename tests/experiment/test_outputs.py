"""What is made stays: a new task adds its outputs to a fitted arm, and a file that is lost is made again, the same."""

import numpy as np
import pytest

from tests.helpers.arms import config, run

RECONSTRUCTION = {"task": "reconstruction", "options": {"sizes": [2], "n_genes": 10}}
FILES = ["embeddings.npz", "reconstruction.npz", "weights.safetensors"]

pytestmark = pytest.mark.usefixtures("micro_trunk")


def folder_of(results):
    return results / "arms/patch/fold0/1e+08-seed0"


def written(folder, file) -> int:
    """Differs whenever the file is written anew."""
    return (folder / file).stat().st_ino


def assert_same(folder, other, files):
    for file in files:
        if file.endswith(".npz"):
            a, b = np.load(folder / file), np.load(other / file)
            assert sorted(a) == sorted(b)
            assert all(np.array_equal(a[key], b[key]) for key in a)
        else:
            assert (folder / file).read_bytes() == (other / file).read_bytes()


@pytest.fixture(scope="module")
def whole(tissue, tmp_path_factory, micro_trunk):
    """Results of both tasks, fitted at once."""
    results = tmp_path_factory.mktemp("whole")
    for method in ("patch", "spot_genes"):
        run(
            config(tasks=["domain", RECONSTRUCTION], budget={"axis": "flops", "amounts": [1e8]}),
            tissue,
            results,
            method,
        )
    return results


def test_a_new_task_is_added_to_a_fitted_arm(whole, tissue, tmp_path):
    budget = {"axis": "flops", "amounts": [1e8]}
    (first,), _ = run(config(tasks=["domain"], budget=budget), tissue, tmp_path, "patch")
    folder = folder_of(tmp_path)
    before = {file: written(folder, file) for file in ("embeddings.npz", "weights.safetensors")}
    (second,), _ = run(config(tasks=["domain", RECONSTRUCTION], budget=budget), tissue, tmp_path, "patch")
    assert second["key"] == first["key"] and second["spent"] == first["spent"]
    assert {file: written(folder, file) for file in before} == before
    assert_same(folder, folder_of(whole), FILES)


@pytest.mark.parametrize("lost", FILES)
def test_a_file_that_is_lost_is_made_again_the_same(lost, whole, tissue, tmp_path):
    settings = config(tasks=["domain", RECONSTRUCTION], budget={"axis": "flops", "amounts": [1e8]})
    run(settings, tissue, tmp_path, "patch")
    folder = folder_of(tmp_path)
    (folder / lost).unlink()
    run(settings, tissue, tmp_path, "patch")
    assert_same(folder, folder_of(whole), FILES)


def test_a_file_that_was_altered_is_made_again(whole, tissue, tmp_path):
    settings = config(tasks=["domain", RECONSTRUCTION], budget={"axis": "flops", "amounts": [1e8]})
    run(settings, tissue, tmp_path, "patch")
    file = folder_of(tmp_path) / "embeddings.npz"
    content = bytearray(file.read_bytes())
    content[-100] ^= 255
    file.write_bytes(content)
    run(settings, tissue, tmp_path, "patch")
    assert_same(file.parent, folder_of(whole), FILES)
