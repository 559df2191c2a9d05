"""Is one classifier better than another, or only luckier on these texts? (chapters 2 and 12)

Both answered the same texts, so most of the luck is shared: an easy text is easy for both. What
tells them apart is only the texts that one got right and the other wrong. If neither were better,
each of those would be a fair coin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

Right = Sequence[bool] | np.ndarray


@dataclass(frozen=True)
class Difference:
    """How far a model stands behind the best one, on the same texts.

    Attributes:
        points: accuracy of the best minus accuracy of this one, between -1 and 1.
        interval: its bootstrap interval.
        p: of McNemar's exact test, after Holm's correction for all models compared.
        only_best, only_this: texts that the one got right and the other wrong.
    """

    points: float
    interval: tuple[float, float]
    p: float
    only_best: int
    only_this: int

    def is_real(self, level: float = 0.05) -> bool:
        """Would chance alone show such a difference in less than a `level` of all cases?"""
        return self.p < level


def discordant(first: Right, second: Right) -> tuple[int, int]:
    """How many texts only the first got right, and how many only the second.

    Args:
        first, second: for each text whether the answer was right, both of shape (n,).

    Raises:
        ValueError: the lengths differ, or there is no text.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or not a.size:
        raise ValueError(f"{a.shape} and {b.shape} answers cannot be compared in pairs.")
    return int((a & ~b).sum()), int((b & ~a).sum())


def mcnemar(first: Right, second: Right) -> float:
    """The p-value, two-sided and exact, of McNemar's test that both are equally often right.

    Of the texts on which they differ, the number that the first got right is binomial with
    probability 1/2 if neither is better (McNemar 1947). Arguments as in `discordant`.
    """
    only_first, only_second = discordant(first, second)
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def paired_interval(
    first: Right,
    second: Right,
    *,
    samples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap of the difference of the accuracies, first minus second.

    Drawing texts with their pair of answers is drawing how many of n fall into "only the first
    right", "only the second right" and "no difference": a multinomial of three cells.
    """
    only_first, only_second = discordant(first, second)
    count = len(first)
    shares = [only_first / count, only_second / count, 1 - (only_first + only_second) / count]
    draws = np.random.default_rng(seed).multinomial(count, shares, size=samples)  # (samples, 3)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / count, [tail, 100 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979), in the order given.

    Who asks twenty questions gets one "yes" at the 5% level from chance alone. Holm multiplies
    the smallest of m p-values by m, the next by m - 1 and so on, and lets none fall below the
    one before it. Then the chance of a single false "yes" among all is below the level.
    """
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected.tolist()


def differences(rights: dict[str, Right], best: str) -> dict[str, Difference]:
    """What separates each model from `best`, by name; the p-values are corrected together.

    The best is chosen on the same texts that test it, which flatters it a little. So where the
    test says "no difference", believe it; where it just says "real", a second test set decides.

    Args:
        rights: for each model whether its answer to each text was right, all of shape (n,).
        best: one of the names.
    """
    others = [name for name in rights if name != best]
    corrected = holm([mcnemar(rights[best], rights[name]) for name in others])
    found = {}
    for name, p in zip(others, corrected, strict=True):
        only_best, only_this = discordant(rights[best], rights[name])
        found[name] = Difference(
            points=(only_best - only_this) / len(rights[best]),
            interval=paired_interval(rights[best], rights[name]),
            p=p,
            only_best=only_best,
            only_this=only_this,
        )
    return found
