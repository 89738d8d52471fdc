"""The strategy "fsdp": of weights, gradients and optimiser state each device holds a part (PyTorch's FSDP2)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_map

from benchmark.model.trunk import Layer

if TYPE_CHECKING:
    from lightning_fabric.strategies import ModelParallelStrategy
    from torch.distributed.device_mesh import DeviceMesh


def strategy(n_devices: int) -> ModelParallelStrategy:
    """The strategy of Fabric, for so many devices."""
    from lightning_fabric.strategies import ModelParallelStrategy

    return ModelParallelStrategy(_shard, data_parallel_size=n_devices, tensor_parallel_size=1)


def _shard(module: torch.nn.Module, mesh: DeviceMesh) -> torch.nn.Module:
    """In place. The layers of a trunk are brought together one after another, the rest of the module at once."""
    from torch.distributed.fsdp import fully_shard

    for part in module.modules():
        if isinstance(part, Layer):
            fully_shard(part, mesh=mesh["data_parallel"])
    return fully_shard(module, mesh=mesh["data_parallel"])


def whole(state: Any) -> Any:
    """A state with every divided tensor whole, on the CPU, one after another. All processes must call it."""
    return tree_map(lambda leaf: leaf.full_tensor().cpu() if _is_divided(leaf) else leaf, state)


def divided(state: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `whole`: each device's part of each tensor of a module, where `like` has a part."""
    return {name: _as(tensor, like[name]) for name, tensor in state.items()}


def divide_state(optimizer: torch.optim.Optimizer) -> None:
    """The same for the state of an optimiser that has read a whole one."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = _as(value, parameter)


def _as(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not _is_divided(like) or _is_divided(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # Every process has the whole tensor, so none is sent.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _is_divided(leaf: Any) -> bool:
    """Whether it is a DTensor. Their module takes a second to import, so it is asked only where it is imported."""
    tensors = sys.modules.get("torch.distributed.tensor")
    return tensors is not None and isinstance(leaf, tensors.DTensor)
