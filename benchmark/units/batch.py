"""A batch of samples: the output of every unit and the input of every model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

TOKEN_MULTIPLE = 8  # token counts are padded to a multiple, so that few shapes occur


@dataclass(frozen=True)
class Batch:
    """`n` samples of up to `t` tokens. A token shows `c` genes, one in the spot unit.

    Attributes:
        values: log1p of counts per 10,000, float32 `[n, t, c]`; 0 where padded.
        genes: gene of each value, int64 `[n, t, 1]` (spot) or `[n, 1, c]` (the channels that all tokens share).
        measured: which of the genes are shown, bool as `genes`; False where a slide has measured fewer genes.
        position: (y, x) of the token from the middle of its sample, in pitches, float32 `[n, t, 2]`.
        cell: (row, column) of the token's lattice cell within its crop, int64 `[n, t, 2]`; 0 where padded.
        valid: which tokens are not padding, bool `[n, t]`; they come first.
        spot: index of the token's spot in the corpus, int64 `[n, t]`; -1 where padded.
        read: which tokens give a vector of their spot when a slide is embedded, bool `[n, t]`.
    """

    values: np.ndarray
    genes: np.ndarray
    position: np.ndarray
    cell: np.ndarray
    valid: np.ndarray
    spot: np.ndarray
    read: np.ndarray
    measured: np.ndarray

    inputs: ClassVar[tuple[str, ...]] = (
        "values",
        "genes",
        "measured",
        "position",
        "cell",
        "valid",
    )  # what a module reads

    @classmethod
    def empty(cls, n: int, t: int, c: int) -> Batch:
        """A batch to be filled: `n` samples of up to `t` tokens that share `c` channels."""
        t = padded(t)
        return cls(
            values=np.zeros((n, t, c), np.float32),
            genes=np.zeros((n, 1, c), np.int64),
            position=np.zeros((n, t, 2), np.float32),
            cell=np.zeros((n, t, 2), np.int64),
            valid=np.zeros((n, t), bool),
            spot=np.full((n, t), -1, np.int64),
            read=np.zeros((n, t), bool),
            measured=np.zeros((n, 1, c), bool),
        )

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, rows: slice | np.ndarray) -> Batch:
        """Some of the samples, without padding that only the others need."""
        t = padded(max(int(self.valid[rows].sum(axis=1).max()), 1))
        return Batch(**{field.name: getattr(self, field.name)[rows][:, :t] for field in fields(self)})

    @property
    def n_spots(self) -> int:
        """Number of spots that the samples show, repeats included."""
        first, last = self.spot[:, 0], self.spot.max(axis=1)
        one_spot_a_sample = bool((last == first).all())
        return len(self) if one_spot_a_sample else int(self.valid.sum())


def padded(n_tokens: int) -> int:
    """The next multiple of `TOKEN_MULTIPLE`."""
    return -(-n_tokens // TOKEN_MULTIPLE) * TOKEN_MULTIPLE
