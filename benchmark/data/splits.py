"""Splits into what is learned from and what is scored: donors held out, blocks with a buffer, random spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.core.errors import UnitBenchError


@dataclass(frozen=True)
class Fold:
    """Slides that are learned from, and slides that are scored.

    Attributes:
        fit: slides that probes learn from.
        test: slides that are scored; the same as `fit` if nothing is held out.
        pretrain: slides that methods are pretrained on; None: `fit`.
    """

    name: str
    fit: tuple[str, ...]
    test: tuple[str, ...]
    pretrain: tuple[str, ...] | None = None

    @property
    def learn(self) -> tuple[str, ...]:
        """The slides that methods are pretrained on."""
        return self.fit if self.pretrain is None else self.pretrain

    @property
    def transductive(self) -> bool:
        return bool(set(self.fit) & set(self.test))


def donor_folds(groups: Mapping[str, str], n_folds: int | None) -> tuple[Fold, ...]:
    """Folds that hold out whole groups, each group once. Groups are dealt to the folds in the order of their names.

    Args:
        groups: the group of each slide, by its name.
        n_folds: at most as many as groups; None: one fold for each group; 0: no fold.

    Raises:
        UnitBenchError: folds are asked, and there are fewer than two groups.
    """
    if n_folds == 0:
        return ()
    names = sorted(set(groups.values()))
    if len(names) < 2:
        raise UnitBenchError(
            "split donor",
            f"{len(names)} group(s), and holding one out needs at least two",
            "set `splits.donor_folds: 0` and `splits.block_repeats`, or add slides of another donor",
        )
    n_folds = min(n_folds or len(names), len(names))
    held_out = [names[start::n_folds] for start in range(n_folds)]
    return tuple(
        Fold(
            f"fold{index}",
            tuple(slide for slide in groups if groups[slide] not in out),
            tuple(slide for slide in groups if groups[slide] in out),
        )
        for index, out in enumerate(held_out)
    )


def everything(slides: Sequence[str]) -> Fold:
    """The transductive fold: pretraining sees all slides, and their spots are split later."""
    return Fold("all", tuple(slides), tuple(slides))


def random_spots(n_spots: int, test: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The usual protocol of the field: indices of training and of test spots, drawn without regard to their position.

    Of two or more spots, at least one is tested and at least one is learned from.
    """
    order = rng.permutation(n_spots)
    n_test = min(max(1, round(n_spots * test)), n_spots - 1)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def block_spots(
    position: np.ndarray, cells: int, test: float, buffer: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and of test spots. Whole squares of `cells` × `cells` pitches are tested. Spots within
    `buffer` pitches of a test spot are neither learned from nor tested.

    Squares are drawn until a share `test` of the spots is reached. At least one square is left to learn from.

    Args:
        position: (y, x) in pitches, `[n_spots, 2]`.

    Raises:
        UnitBenchError: one square covers the slide, or no spot is left to learn from.
    """
    from scipy.spatial import cKDTree  # slow to import, and most commands split no slide

    block = np.floor((position - position.min(axis=0)) / cells).astype(int)
    _, block = np.unique(block, axis=0, return_inverse=True)
    n_spots = np.bincount(block)
    if len(n_spots) < 2:
        raise UnitBenchError(
            "split block", f"one block of {cells} × {cells} covers the slide", "set a smaller block_cells"
        )
    order = rng.permutation(len(n_spots))
    share = np.cumsum(n_spots[order]) / len(position)
    n_blocks = min(np.searchsorted(share, test) + 1, len(order) - 1)
    is_test = np.isin(block, order[:n_blocks])
    distance, _ = cKDTree(position[is_test]).query(position)
    is_train = ~is_test & (distance > buffer)
    if not is_train.any():
        raise UnitBenchError(
            "split block", f"no spot is {buffer} pitches away from the test blocks", "set a smaller block_buffer"
        )
    return np.flatnonzero(is_train), np.flatnonzero(is_test)


def check_disjoint(fold: Fold, donors: Mapping[str, str], groups: Mapping[str, str]) -> dict[str, Any]:
    """The slides of a fold, and the slides, donors and groups on both its sides, for the manifest of an arm.

    A donor may be on both sides, if pairs of its serial sections are separate groups. That is recorded.

    Raises:
        UnitBenchError: a slide or group is on both sides of a fold that holds something out.
    """
    seen = {*fold.fit, *fold.learn}
    shared = {
        "slides": sorted(seen & set(fold.test)),
        "donors": sorted({donors[s] for s in seen} & {donors[s] for s in fold.test}),
        "groups": sorted({groups[s] for s in seen} & {groups[s] for s in fold.test}),
    }
    held_out = set(fold.fit) != set(fold.test)
    for what in ("slides", "groups"):
        if held_out and (names := shared[what]):
            raise UnitBenchError(
                f"fold {fold.name}", f"{what} on both sides: {', '.join(names)}", "correct the groups of the record"
            )
    return {
        "learn": list(fold.learn),
        "fit": list(fold.fit),
        "test": list(fold.test),
        "shared": shared,
        "transductive": bool(set(fold.learn) & set(fold.test)),
    }
