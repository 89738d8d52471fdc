"""Checkpoint folders of scGPT, official ones or our own: args.json, vocab.json and the weights, loaded in full."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.scgpt.model import ScGPT
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, write_atomic, write_json

OURS, OFFICIAL = "model.safetensors", "best_model.pt"
SIZES = {"d": "embsize", "heads": "nheads", "layers": "nlayers", "d_hid": "d_hid", "dropout": "dropout"}
UNUSED = "cls_decoder."  # the cell-type head: every official model has it, and no task here uses it
LISTED = 3  # a message names so many tensors


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds.

    Attributes:
        args: settings.
        vocab: row of the gene table, by token.
        state: tensors by name.
        path: the file of the tensors.
    """

    args: dict[str, Any]
    vocab: dict[str, int]
    state: dict[str, Tensor]
    path: Path


def read_folder(path: Path) -> Checkpoint:
    """Read a folder with args.json, vocab.json and model.safetensors (ours) or else best_model.pt (official).

    Raises:
        UnitBenchError: a file is absent, damaged, or holds anything but tensors. No code in it is run.
    """
    path = Path(path)
    args, vocab = read_json(path / "args.json", dict), read_json(path / "vocab.json", dict)
    weights = path / OURS if (path / OURS).exists() else path / OFFICIAL
    return Checkpoint(args, vocab, _read_tensors(weights), weights)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name. Raises UnitBenchError as `read_folder` does."""
    if not path.exists():
        raise UnitBenchError(path.parent, f"neither {OURS} nor {OFFICIAL}", "give the folder of a checkpoint")
    try:
        if path.name == OURS:
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _not_tensors(path) from error
    except Exception as error:  # each reader has exceptions of its own
        reason = str(error).partition("\n")[0]
        raise UnitBenchError(path, f"cannot be read ({reason})", "fetch it again") from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise _not_tensors(path)
    return state


def _not_tensors(path: Path) -> UnitBenchError:
    """The error of a file that holds anything but tensors."""
    cause = "not a plain dictionary of tensors: damaged, or made to run code; nothing was loaded"
    return UnitBenchError(path, cause, "fetch it again, or save model.state_dict() alone")


def load(checkpoint: Checkpoint, **overrides: Any) -> ScGPT:
    """The model in float32, with every tensor of the checkpoint. The names of the tensors tell which heads it has.

    Args:
        overrides: settings of `ScGPT` in place of the checkpoint's (`dropout`, `attention_dropout`).

    Raises:
        UnitBenchError: tensors are missing, unknown or of a wrong shape, or the vocabulary does not fit the gene table.
    """
    state = _renamed(checkpoint)
    _check_vocabulary(checkpoint, state)
    model = _make(checkpoint, _heads(state) | overrides)
    _compare(checkpoint.path, {name: value.shape for name, value in model.state_dict().items()}, state)
    model.load_state_dict(state)
    return model


def save_folder(model: ScGPT, vocab: dict[str, int], args: dict[str, Any], path: Path) -> None:
    """Write a folder that `read_folder` reads. The model's sizes are added to `args`."""
    from safetensors.torch import save_file

    table, layers = model.encoder.embedding, model.transformer_encoder["layers"]
    sizes = {
        "embsize": table.embedding_dim,
        "nheads": layers[0].self_attn.num_heads,
        "nlayers": len(layers),
        "d_hid": layers[0].linear1.out_features,
        "dropout": model.value_encoder.dropout.p,
        "pad_token": next(token for token, row in vocab.items() if row == table.padding_idx),
    }
    write_json(Path(path) / "args.json", args | sizes)
    write_json(Path(path) / "vocab.json", vocab)
    write_atomic(Path(path) / OURS, lambda temporary: save_file(model.state_dict(), temporary))


def _renamed(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Tensors under plain torch's names. Fused layers call the input projection `Wqkv`, later ones insert `_impl`."""
    names = {old: old.replace("._impl.", ".").replace(".Wqkv.", ".in_proj_") for old in checkpoint.state}
    twice = [name for name, n in Counter(names.values()).items() if n > 1]
    if twice:
        raise UnitBenchError(checkpoint.path, f"held under two names: {_some(twice)}", "keep one of them")
    return {new: checkpoint.state[old] for old, new in names.items() if not new.startswith(UNUSED)}


def _check_vocabulary(checkpoint: Checkpoint, state: dict[str, Tensor]) -> None:
    """Raises UnitBenchError: the tokens are not the rows of the gene table, or the padding token is none of them."""
    where, remedy = checkpoint.path.parent / "vocab.json", "give the vocabulary that was saved with the weights"
    ids, pad = list(checkpoint.vocab.values()), checkpoint.args.get("pad_token")
    rows = _rows(state, "encoder.embedding.weight")
    if rows and not (all(isinstance(row, int) for row in ids) and sorted(ids) == list(range(rows))):
        raise UnitBenchError(where, f"{len(ids):,} tokens are not the {rows:,} rows of the gene table", remedy)
    if str(pad) not in checkpoint.vocab:
        raise UnitBenchError(where, f"no token {pad!r}, which pad_token of args.json names", remedy)


def _rows(state: dict[str, Tensor], name: str) -> int:
    """Length of a tensor; 0 where the state has none of that name."""
    return next(iter(state[name].shape), 0) if name in state else 0


def _heads(state: dict[str, Tensor]) -> dict[str, Any]:
    """The settings of `ScGPT` that follow from the names of the tensors."""
    experts = {name.split(".")[3] for name in state if name.startswith("decoder.moe.experts.")}
    return {
        "generative": "flag_encoder.weight" in state,
        "experts": len(experts),
        "impute": any(name.startswith("impute_mvc_decoder.") for name in state),
        "zero_prob": any(name.startswith("decoder.zero_logit.") for name in state),
        "n_domains": _rows(state, "grad_reverse_discriminator.out_layer.bias"),
    }


def _make(checkpoint: Checkpoint, settings: dict[str, Any]) -> ScGPT:
    """An untrained model of the checkpoint's sizes. Raises UnitBenchError: args.json has no sizes of a model."""
    where, args = checkpoint.path.parent / "args.json", checkpoint.args
    absent = [name for name in SIZES.values() if name not in args]
    if absent:
        raise UnitBenchError(where, f"no {', '.join(absent)}", "give the settings that were saved with the weights")
    sizes = {ours: args[theirs] for ours, theirs in SIZES.items()}
    try:
        return ScGPT(len(checkpoint.vocab), checkpoint.vocab[args["pad_token"]], **(sizes | settings))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        listed = ", ".join(f"{SIZES[name]} {value!r}" for name, value in sizes.items())
        raise UnitBenchError(where, f"no model has {listed}", "give the settings saved with the weights") from error


def _compare(path: Path, wanted: dict[str, torch.Size], state: dict[str, Tensor]) -> None:
    """Raises UnitBenchError: the tensors are not exactly those that the model has."""
    shapes = (name for name in wanted if name in state and state[name].shape != wanted[name])
    misfits = {
        "missing": [name for name in wanted if name not in state],
        "unknown": [name for name in state if name not in wanted],
        "misshapen": [f"{name} {[*state[name].shape]}, not {[*wanted[name]]}" for name in shapes],
    }
    if any(misfits.values()):
        cause = "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in misfits.items() if names)
        raise UnitBenchError(path, f"tensors do not fit: {cause}", "give the args.json that was saved with them")


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
