"""Checkpoint folders of scGPT: every tensor is loaded, whatever its name, and a bad folder gives one clear line."""

import json

import pytest
import torch

from baselines.scgpt.checkpoint import load, read_folder, save_folder
from baselines.scgpt.model import ScGPT
from benchmark.core.errors import UnitBenchError

VOCAB = {"A1BG": 0, "CD8A": 2, "EPCAM": 1, "<pad>": 3, "<cls>": 4, "<eoc>": 5}
ARGS = {"embsize": 16, "nheads": 2, "nlayers": 2, "d_hid": 24, "dropout": 0.3, "pad_token": "<pad>", "n_bins": 51}
PARTS = [
    {},
    {"experts": 4, "impute": True},
    {"zero_prob": True, "n_domains": 3},
    {"generative": False},
]


def model(**parts):
    torch.manual_seed(0)
    return ScGPT(len(VOCAB), VOCAB["<pad>"], 16, 2, 2, 24, 0.3, **parts)


def official(path, state, args=ARGS, vocab=VOCAB):
    """A folder as the official package writes it."""
    path.mkdir(exist_ok=True)
    (path / "args.json").write_text(json.dumps(args))
    (path / "vocab.json").write_text(json.dumps(vocab))
    torch.save(state, path / "best_model.pt")
    return path


def plain(name):
    return name


def fused(name):
    return name.replace("in_proj_", "Wqkv.")


def wrapped(name):
    return fused(name).replace("self_attn.", "self_attn._impl.")


def assert_same(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


def refused(path) -> str:
    """The message of the error, in one line, when the folder is read and loaded."""
    with pytest.raises(UnitBenchError) as caught:
        load(read_folder(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is loaded


@pytest.mark.parametrize("parts", PARTS, ids=str)
@pytest.mark.parametrize("layout", [plain, fused, wrapped])
def test_every_tensor_of_an_official_folder_is_loaded(tmp_path, parts, layout):
    theirs = model(**parts)
    folder = official(tmp_path, {layout(name): value for name, value in theirs.state_dict().items()})
    ours = load(read_folder(folder))
    assert_same(ours, theirs)
    layer = ours.transformer_encoder["layers"][0]
    assert (layer.self_attn.num_heads, layer.dropout.p, layer.attention_dropout) == (2, 0.3, 0.3)
    assert ours.encoder.embedding.padding_idx == 3
    assert all(parameter.requires_grad for parameter in ours.parameters())


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_what_is_saved_is_read_again(tmp_path, parts):
    mine = model(**parts)
    save_folder(mine, VOCAB, {"n_bins": 51}, tmp_path)
    read = read_folder(tmp_path)
    assert_same(load(read), mine)
    assert read.args == ARGS
    assert read.vocab == VOCAB


def test_the_cell_type_head_of_the_official_package_is_left_out(tmp_path):
    theirs = model()
    head = {"cls_decoder.out_layer.weight": torch.zeros(1, 16), "cls_decoder._decoder.0.bias": torch.zeros(16)}
    assert_same(load(read_folder(official(tmp_path, theirs.state_dict() | head))), theirs)


def test_dropout_can_be_set_and_half_precision_becomes_single(tmp_path):
    state = {name: value.half() for name, value in model().state_dict().items()}
    ours = load(read_folder(official(tmp_path, state)), attention_dropout=0.0)
    layer = ours.transformer_encoder["layers"][0]
    assert (layer.dropout.p, layer.attention_dropout) == (0.3, 0.0)
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}


def test_training_a_loaded_model_leaves_the_checkpoint_as_it_was(tmp_path):
    read = read_folder(official(tmp_path, model().state_dict()))
    with torch.no_grad():
        load(read).encoder.embedding.weight.zero_()
    assert_same(load(read), model())


# What is refused


@pytest.mark.parametrize("name", model().state_dict())
def test_a_missing_tensor_is_named(tmp_path, name):
    state = model().state_dict()
    del state[name]
    if name == "flag_encoder.weight":  # a model of the official package, which cannot generate
        assert not hasattr(load(read_folder(official(tmp_path, state))), "flag_encoder")
    else:
        assert f"best_model.pt: tensors do not fit: 1 missing ({name})" in refused(official(tmp_path, state))


@pytest.mark.parametrize("name", model(experts=4, impute=True).state_dict())
def test_a_misshapen_tensor_is_named(tmp_path, name):
    state = model(experts=4, impute=True).state_dict()
    state[name] = torch.zeros(3, 5, 7)
    message = refused(official(tmp_path, state))
    assert "6 tokens are not the 3 rows of the gene table" in message or f"{name} [3, 5, 7], not [" in message


def test_an_unknown_tensor_is_named(tmp_path):
    message = refused(official(tmp_path, model().state_dict() | {"bn.weight": torch.zeros(16)}))
    assert message.endswith("1 unknown (bn.weight); give the args.json that was saved with them")


def test_many_tensors_are_counted(tmp_path):
    message = refused(official(tmp_path, model().state_dict(), ARGS | {"nlayers": 3, "d_hid": 16}))
    assert "12 missing (transformer_encoder.layers.2.self_attn.in_proj_weight, " in message
    assert "and 9 more)" in message
    assert "6 misshapen (transformer_encoder.layers.0.linear1.weight [24, 16], not [16, 16], " in message


def test_a_tensor_under_two_names_is_refused(tmp_path):
    state = model().state_dict()
    name = "transformer_encoder.layers.0.self_attn.in_proj_bias"
    assert f"held under two names: {name}" in refused(official(tmp_path, state | {fused(name): state[name]}))


@pytest.mark.parametrize("vocab", [{"<pad>": 0}, VOCAB | {"more": 6}, VOCAB | {"CD8A": 7}, VOCAB | {"CD8A": [2]}])
def test_a_vocabulary_of_another_table_is_refused(tmp_path, vocab):
    message = refused(official(tmp_path, model().state_dict(), vocab=vocab))
    assert f"vocab.json: {len(vocab)} tokens are not the 6 rows of the gene table" in message


@pytest.mark.parametrize("change", [{"pad_token": "[PAD]"}, {"pad_token": None}, {"pad_token": [1]}])
def test_a_padding_token_outside_the_vocabulary_is_refused(tmp_path, change):
    message = refused(official(tmp_path, model().state_dict(), ARGS | change))
    assert f"no token {change['pad_token']!r}, which pad_token of args.json names" in message


@pytest.mark.parametrize("change", [{"nheads": 3}, {"embsize": "16"}, {"dropout": 2}, {"nlayers": None}])
def test_settings_that_make_no_model_are_refused(tmp_path, change):
    ((name, value),) = change.items()
    message = refused(official(tmp_path, model().state_dict(), ARGS | change))
    assert "args.json: no model has" in message
    assert f"{name} {value!r}" in message


def test_an_absent_setting_is_named(tmp_path):
    args = {name: value for name, value in ARGS.items() if name not in ("nheads", "d_hid")}
    assert "args.json: no nheads, d_hid" in refused(official(tmp_path, model().state_dict(), args))


@pytest.mark.parametrize("name", ["args.json", "vocab.json"])
@pytest.mark.parametrize("text", [None, "[]", "{"])
def test_a_bad_json_file_is_named(tmp_path, name, text):
    folder = official(tmp_path, model().state_dict())
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    assert f"{folder / name}: " in refused(folder)


class Marks:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("beside", [{}, model().state_dict()], ids=["alone", "beside good tensors"])
def test_a_pickle_that_wants_to_run_code_loads_nothing(tmp_path, beside):
    mark = tmp_path / "was_run"
    folder = official(tmp_path / "folder", beside | {"encoder.enc_norm.bias": Marks(mark)})
    message = refused(folder)
    assert not mark.exists()
    cause = "best_model.pt: not a plain dictionary of tensors: damaged, or made to run code; nothing was loaded"
    assert cause in message


@pytest.mark.parametrize(
    "content", [[torch.zeros(2)], {0: torch.zeros(2)}, {"model": {"weight": torch.zeros(2)}}, torch.zeros(2)]
)
def test_anything_but_tensors_by_name_is_refused(tmp_path, content):
    assert "best_model.pt: not a plain dictionary of tensors" in refused(official(tmp_path, content))


@pytest.mark.parametrize("name", ["best_model.pt", "model.safetensors"])
@pytest.mark.parametrize("size", [0, 7, 1000])
def test_a_cut_off_file_is_refused(tmp_path, name, size):
    folder = official(tmp_path, model().state_dict())
    if name == "model.safetensors":
        save_folder(model(), VOCAB, ARGS, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    message = refused(folder)
    assert f"{folder / name}: " in message
    assert "fetch it again" in message


def test_a_folder_without_weights_is_refused(tmp_path):
    folder = official(tmp_path, {})
    (folder / "best_model.pt").unlink()
    assert f"{folder}: neither model.safetensors nor best_model.pt" in refused(folder)
