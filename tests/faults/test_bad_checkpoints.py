"""Damaged checkpoints: none gives other weights, and the arm begins anew."""

from __future__ import annotations

import io
import math
import zipfile
from contextlib import redirect_stderr

import numpy as np
import pytest
import torch

from benchmark.training.budget import Meter
from benchmark.training.checkpoint import Checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def training(seed: int):
    """A module with an optimiser that has a state, and a meter."""
    torch.manual_seed(seed)
    module = torch.nn.Linear(6, 5)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    return module, optimizer, Meter("flops", 1e9, flops=float(seed), steps=seed, seen=np.zeros(4, dtype=bool))


def resumed(path, seed: int = 1):
    """What a training of this seed is after it has looked for a checkpoint, what it was before, and what was said."""
    module, optimizer, meter = training(seed)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with redirect_stderr(io.StringIO()) as said:
        Checkpoint(path, module, optimizer, meter).resume()
    return module.state_dict(), meter, before, said.getvalue()


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_byte_that_has_changed_never_gives_other_weights(tmp_path):
    path, (module, *rest) = tmp_path / "checkpoint.pt", training(7)
    Checkpoint(path, module, *rest).save_after(-math.inf)
    whole, outcomes = path.read_bytes(), set()
    for place in np.linspace(0, len(whole) - 1, 15, dtype=int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        state, meter, before, said = resumed(path)
        if said:
            assert said.count("\n") == 1 and "weights_only" not in said
            assert f"{path}: damaged" in said and "set aside as checkpoint.pt.damaged, the arm begins anew" in said
            assert same(state, before) and meter.steps == 1 and not path.exists()
            assert (tmp_path / "checkpoint.pt.damaged").exists()
        else:  # it was no byte of the state
            assert same(state, module.state_dict()) and meter.steps == 7
        outcomes.add(bool(said))
    assert outcomes == {True, False} or outcomes == {True}


@pytest.mark.parametrize("content", ["empty", "text", "pickle", "other"])
def test_a_checkpoint_that_is_none_is_set_aside(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    if content == "pickle":  # torch would advise to load it with its code
        torch.save({"module": print}, path)
    elif content == "other":
        Checkpoint(path, torch.nn.Linear(3, 3), *training(7)[1:]).save_after(-math.inf)
    else:
        path.write_bytes(b"" if content == "empty" else b"some text")
    state, meter, before, said = resumed(path)
    assert "the arm begins anew" in said and "weights_only" not in said
    assert same(state, before) and meter.steps == 1 and not path.exists()


def test_a_whole_checkpoint_is_resumed_without_a_word(tmp_path):
    path, (module, *rest) = tmp_path / "checkpoint.pt", training(7)
    Checkpoint(path, module, *rest).save_after(-math.inf)
    state, meter, _, said = resumed(path)
    assert same(state, module.state_dict()) and meter.steps == 7 and meter.flops == 7 and said == ""
    assert zipfile.is_zipfile(path)
