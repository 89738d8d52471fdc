"""What every method that trains a module has: the number of its parameters, and its weights as a file."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from benchmark.core.files import write_atomic


class Trained:
    """`model`: the module; None before `fit` has made it."""

    model: nn.Module | None

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, path: Path) -> None:
        """Write the weights to `path` as safetensors."""
        from safetensors.torch import save_file

        write_atomic(path, lambda temporary: save_file(self.model.state_dict(), temporary))

    def load(self, path: Path) -> None:
        """Read the weights that `save` wrote, after a fit with amount 0."""
        from safetensors.torch import load_file

        self.model.load_state_dict(load_file(path))
