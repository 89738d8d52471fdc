"""The samples of a generator: a spot's image with its expression, or a weak pair of two spots' images."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from methods.generation.atlas import Atlas
from methods.generation.pairs import (
    FEWEST,
    Pairing,
    effective_sample_size,
    many_to_one,
    pairs,
    random_pairs,
    transport,
    weights,
)

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

MOST_A_STATE = 500  # spots on either side of a transport plan


@dataclass(frozen=True)
class Samples:
    """`n` samples.

    Attributes:
        image: the image to be learned, uint8 `[n, p, p, 3]`.
        values: expression of its spot: the panel's genes, `[n, n_genes]`.
        spot: number of that spot in the corpus, `[n]`.
    """

    image: np.ndarray
    values: np.ndarray
    spot: np.ndarray

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that a module reads."""
        return tuple(field.name for field in fields(self) if field.name != "spot")

    def __len__(self) -> int:
        return len(self.spot)

    def __getitem__(self, rows: slice) -> Samples:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def n_spots(self) -> int:
        """Spots that the samples show, repeats included."""
        return len(self)


@dataclass(frozen=True)
class PairSamples(Samples):
    """`n` pairs.

    Attributes:
        control: image of the control spot, uint8 `[n, p, p, 3]`.
        weight: weight of the pair, with a mean of 1 over all pairs, float32 `[n]`.
        wrong: expression of a spot in another state than the target's, `[n, n_genes]`.
    """

    control: np.ndarray
    weight: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True)
class SpotImages:
    """Training spots, all equally likely."""

    atlas: Atlas
    samples_per_step: int

    name = "spot"
    at_once = 256

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """A spot counts as one token."""
        return 1.0

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Samples:
        """`n` random spots."""
        spot = rng.integers(len(self.atlas.values), size=n)
        return Samples(self.atlas.take(spot), self.atlas.values[spot], spot)


@dataclass(frozen=True)
class WeakPairs(SpotImages):
    """Pairs of a control spot and a target spot, all equally likely.

    Attributes:
        control, target: the spots of each pair, `[n_pairs]` each.
        weight: weight of each pair in the loss, `[n_pairs]`.
    """

    control: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> PairSamples:
        """`n` random pairs."""
        pair = rng.integers(len(self.target), size=n)
        target = self.target[pair]
        return PairSamples(
            self.atlas.take(target),
            self.atlas.values[target],
            target,
            self.atlas.take(self.control[pair]),
            self.weight[pair].astype(np.float32),
            self.atlas.values[self._of_another_state(target, rng)],
        )

    def _of_another_state(self, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random target spot in another state, for each of the spots `[n]`, `[n]`."""
        state, pool = self.atlas.state, np.unique(self.target)
        clock = rng.random((len(target), len(pool))) * (state[pool] != state[target, None])
        return pool[clock.argmax(axis=1)]

    @property
    def diagnostics(self) -> dict[str, float]:
        """What the pairs are worth.

        `effective_sample_size` is a share of all pairs. `many_to_one` is the share of the pairs whose target belongs
        to another pair of the same state too.
        """
        states = self.atlas.state[self.target]
        shared = [many_to_one(self.target[states == state]) for state in np.unique(states)]
        return {
            "n_pairs": float(len(self.target)),
            "effective_sample_size": effective_sample_size(self.weight),
            "many_to_one": float(np.mean(shared)),
        }


def pair_up(atlas: Atlas, kind: Pairing, weighted: bool, seed: int, samples_per_step: int) -> WeakPairs:
    """Pair the control state's spots with the spots of every state, by transport or at random.

    The spots of the control state itself are divided in two halves, and the pairs lead from one half to the other.

    Args:
        weighted: whether a pair weighs in proportion to its confidence.
    """
    rng = np.random.default_rng([seed, 7])
    parts = []
    for state in range(atlas.state.max() + 1):
        control = rng.permutation(atlas.controls)[:MOST_A_STATE]
        target = rng.permutation(np.flatnonzero(atlas.state == state))[:MOST_A_STATE]
        if state == 0:
            control, target = np.array_split(control, 2)
        if len(target) < FEWEST:
            continue
        if kind == "random":
            chosen = random_pairs(len(control), len(target), rng)
        else:
            chosen = pairs(transport(atlas.coordinates[control], atlas.coordinates[target]))
        parts.append((control, target[chosen.target], chosen.confidence))
    control, target, confidence = (np.concatenate(part) for part in zip(*parts, strict=True))
    weight = weights(confidence if weighted else np.ones(len(target)))
    return WeakPairs(atlas, samples_per_step, control, target, weight)
