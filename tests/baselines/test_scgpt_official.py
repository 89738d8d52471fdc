"""The official scGPT package as a method: what is refused before the package is called; tests/parity calls it."""

from __future__ import annotations

import json
import os

import pytest
import torch

from baselines.scgpt.model import ScGPT
from baselines.scgpt_official import ScGPTOfficial
from benchmark.core.config import Config
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make
from benchmark.core.typed_values import build
from benchmark.experiment.check import check_methods

ARGS = {"embsize": 16, "nheads": 2, "nlayers": 1, "d_hid": 24, "dropout": 0.2, "n_layers_cls": 3}
ARGS |= {"pad_token": "<pad>", "pad_value": -2}
SPECIAL = ["<pad>", "<cls>", "<eoc>"]


def write_folder(folder, genes, args=ARGS, rename=str, weights="best_model.pt"):
    """A checkpoint of random weights whose vocabulary is `genes`."""
    vocab = {token: row for row, token in enumerate([*genes, *SPECIAL])}
    state = ScGPT(len(vocab), vocab["<pad>"], 16, 2, 1, 24).state_dict()
    folder.mkdir()
    (folder / "args.json").write_text(json.dumps(args))
    (folder / "vocab.json").write_text(json.dumps(vocab))
    torch.save({rename(name): value for name, value in state.items()}, folder / weights)
    return str(folder)


def refusal(tissue, folder) -> str:
    with pytest.raises(UnitBenchError) as caught:
        ScGPTOfficial(folder).check(tissue)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_checkpoint_that_knows_half_of_the_genes_passes(tissue, tmp_path):
    half = tissue.genes[: len(tissue.genes) // 2]
    ScGPTOfficial(write_folder(tmp_path / "plain", half)).check(tissue)
    fused = write_folder(tmp_path / "fused", half, rename=lambda name: name.replace("in_proj_", "Wqkv."))
    ScGPTOfficial(fused).check(tissue)


def test_a_vocabulary_that_knows_fewer_is_refused_by_the_rule_check(tissue, tmp_path):
    folder = write_folder(tmp_path / "few", tissue.genes[: len(tissue.genes) // 2 - 1])
    method = {"method": "scgpt_official", "label": "released", "options": {"folder": folder}}
    rest = {"name": "x", "dataset": {"name": "simulated"}, "tasks": ["domain"]}
    config = build(Config, rest | {"methods": [method]}, "test")
    with pytest.raises(UnitBenchError, match=r"method 'released': .*vocab\.json: has 19 of the slides' 40 genes"):
        check_methods(config, tissue, [("released", "all")])


class Runs:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(tissue, tmp_path):
    folder = write_folder(tmp_path / "bad", tissue.genes)
    torch.save({"encoder.embedding.weight": Runs(tmp_path / "mark")}, tmp_path / "bad/best_model.pt")
    assert "best_model.pt: not a plain dictionary of tensors" in refusal(tissue, folder)
    with pytest.raises(UnitBenchError, match="not a plain dictionary of tensors"):
        ScGPTOfficial(folder).fit(tissue, None, 0)
    assert not (tmp_path / "mark").exists()


def test_tensors_that_the_package_would_silently_leave_out_are_refused(tissue, tmp_path):
    folder = write_folder(tmp_path / "other", tissue.genes, args=ARGS | {"embsize": 32})
    assert "misshapen" in refusal(tissue, folder)
    folder = write_folder(
        tmp_path / "later", tissue.genes, rename=lambda name: name.replace("self_attn.", "self_attn._impl.")
    )
    assert "names of a later release than 0.2.4" in refusal(tissue, folder)


def test_weights_that_the_package_does_not_read_are_refused(tissue, tmp_path):
    folder = write_folder(tmp_path / "both", tissue.genes)
    from safetensors.torch import save_file

    save_file(ScGPT(len(tissue.genes) + 3, 40, 16, 2, 1, 24).state_dict(), tmp_path / "both/model.safetensors")
    assert "holds model.safetensors, which the official package does not read" in refusal(tissue, folder)


def test_an_absent_setting_is_named(tissue, tmp_path):
    args = {key: value for key, value in ARGS.items() if key != "pad_value"}
    assert "args.json: no pad_value" in refusal(tissue, write_folder(tmp_path / "short", tissue.genes, args))


def test_without_a_folder_it_is_not_applicable_and_never_fitted(tissue):
    method = make("methods", "scgpt_official", {})
    method.check(tissue)
    assert method.not_applicable == "no checkpoint"
    assert make("methods", "scgpt_official", {"folder": "x"}).not_applicable == ""
    with pytest.raises(UnitBenchError, match="no checkpoint; set folder to a checkpoint"):
        method.fit(tissue, None, 0)


def test_a_length_that_holds_no_gene_is_refused():
    with pytest.raises(UnitBenchError, match="option max_length: Input should be greater than or equal to 2, not 1"):
        make("methods", "scgpt_official", {"max_length": 1})
