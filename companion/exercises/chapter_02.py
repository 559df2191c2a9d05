"""Checkers of chapter 2: log-odds, TF-IDF, hashed runs, a step of an LSTM, a classifier."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from companion.exercises.checking import exercise
from companion.exercises.expecting import expect, expect_close, expect_equal

Answer = Callable[..., Any]
Texts = Sequence[str]
Pair = tuple[Tensor, Tensor]

# 2.1 ------------------------------------------------------------------------------------------


def _odds(*given: Any, words: str = "") -> float:
    word, positive, negative, alpha = given
    counts = [Counter(" ".join(side).split()) for side in (positive, negative)]
    size = len(set(counts[0]) | set(counts[1]))
    if not counts[0][word] + counts[1][word] and words != "any":
        return 0.0
    size = 0 if words == "none" else size
    shares = [(count[word] + alpha) / (count.total() + alpha * size) for count in counts]
    return math.log(shares[0] / shares[1])


def smooths_the_top_only(*given: Any) -> float:
    return _odds(*given, words="none")


def judges_the_unknown(*given: Any) -> float:
    return _odds(*given, words="any")


def turned_round(word: str, positive: Texts, negative: Texts, alpha: float) -> float:
    return _odds(word, negative, positive, alpha)


@exercise(
    "2.1",
    wrong=[smooths_the_top_only, turned_round, judges_the_unknown],
)
def log_odds(answer: Answer) -> str:
    positive = ["good good room", "fine view and good staff", "a fine room"]
    negative = ["bad room", "cold and bad and loud"]
    for alpha in (1.0, 0.3):
        for word in ("good", "bad", "room", "cold", "and", "breakfast"):
            known = "" if word != "breakfast" else ", which is in no text"
            expect_close(
                answer(word, list(positive), list(negative), alpha),
                _odds(word, positive, negative, alpha),
                f"the log-odds of {word!r}{known} with alpha {alpha:g}, for positive texts "
                f"{positive} and negative texts {negative},",
            )
    return "the smoothing counts once for each word of the common vocabulary"


# 2.2 ------------------------------------------------------------------------------------------


def _tfidf(counts: np.ndarray, idf: np.ndarray, order: int = 2) -> np.ndarray:
    rows = counts * idf
    lengths = np.linalg.norm(rows, ord=order, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))


def _smooth(counts: np.ndarray) -> np.ndarray:
    return np.asarray(np.log((1 + len(counts)) / (1 + (counts > 0).sum(0))) + 1)


def counts_occurrences(counts: np.ndarray) -> np.ndarray:
    return _tfidf(counts, np.log((1 + len(counts)) / (1 + counts.sum(0))) + 1)


def without_smoothing(counts: np.ndarray) -> np.ndarray:
    return _tfidf(counts, np.log(len(counts) / np.maximum((counts > 0).sum(0), 1)))


def sums_to_one(counts: np.ndarray) -> np.ndarray:
    return _tfidf(counts, _smooth(counts), order=1)


def divides_by_zero(counts: np.ndarray) -> np.ndarray:
    rows = counts * _smooth(counts)
    with np.errstate(invalid="ignore"):
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@exercise(
    "2.2",
    wrong=[counts_occurrences, without_smoothing, sums_to_one, divides_by_zero],
)
def tfidf(answer: Answer) -> str:
    small = np.array([[2, 1, 0], [0, 1, 3], [0, 1, 1], [0, 0, 0]])
    tries = {
        "four small rows, of which the last is empty": small,
        "twenty random rows": np.random.poisson(0.4, size=(20, 12)),
    }
    for what, counts in tries.items():
        given = counts.copy()
        got = answer(given)
        expect((given == counts).all(), "your function changes `counts`; make a new array")
        expect_close(got, _tfidf(counts, _smooth(counts)), f"TF-IDF of {what}")
    return "a word counts once for each text that has it, and every row has the length 1 or 0"


# 2.3 ------------------------------------------------------------------------------------------

FACTOR, PRIME = 1_000_003, 2_147_483_647


def _runs(ids: Sequence[int], longest: int, buckets: int, start: int = 2) -> list[int]:
    rows = []
    for n in range(start, longest + 1):
        for j in range(len(ids) - n + 1):
            key = ids[j]
            for one in ids[j + 1 : j + n]:
                key = (key * FACTOR + one) % PRIME
            rows.append(key % buckets)
    return rows


def pairs_only(ids: Sequence[int], longest: int, buckets: int) -> list[int]:
    return _runs(ids, 2, buckets)


def single_ids_too(ids: Sequence[int], longest: int, buckets: int) -> list[int]:
    return _runs(ids, longest, buckets, start=1)


@exercise("2.3", wrong=[pairs_only, single_ids_too])
def ngram_rows(answer: Answer) -> str:
    tries = [([5, 9, 2, 7], 2, 64), ([5, 9, 2, 7], 3, 64), ([4], 3, 64)]
    tries.append((np.random.randint(0, 30_000, size=12).tolist(), 4, 65_536))
    for ids, longest, buckets in tries:
        got = answer(list(ids), longest, buckets)
        found = [int(row) for row in got] if isinstance(got, list | tuple) else got
        expect_equal(
            found,
            _runs(ids, longest, buckets),
            f"the rows of {ids} with runs up to {longest} and {buckets:,} buckets",
        )
    return "all pairs, then all triples, and the key stays whole until the row is taken"


# 2.4 ------------------------------------------------------------------------------------------


def _step(*given: Tensor, order: str = "ifgo", squash: Answer = torch.tanh) -> Pair:
    x, h, c, w, u, b = given
    gates = dict(zip(order, (w @ x + u @ h + b).chunk(4), strict=True))
    c = gates["f"].sigmoid() * c + gates["i"].sigmoid() * squash(gates["g"])
    return gates["o"].sigmoid() * c.tanh(), c


def takes_other_gates(*given: Tensor) -> Pair:
    return _step(*given, order="ifog")


def squashes_g_by_sigma(*given: Tensor) -> Pair:
    return _step(*given, squash=torch.sigmoid)


def shows_the_raw_memory(*given: Tensor) -> Pair:
    h, c = _step(*given)
    return h * c / c.tanh(), c


def memory_first(*given: Tensor) -> Pair:
    return _step(*given)[::-1]


@exercise(
    "2.4",
    wrong=[takes_other_gates, squashes_g_by_sigma, shows_the_raw_memory, memory_first],
)
def lstm_step(answer: Answer) -> str:
    for width, size in ((2, 3), (5, 4)):
        cell = nn.LSTMCell(width, size)
        x, h, c = torch.randn(width), torch.randn(size), torch.randn(size)
        with torch.no_grad():
            want_h, want_c = cell(x, (h, c))
            bias = cell.bias_ih + cell.bias_hh
            got = answer(x.clone(), h.clone(), c.clone(), cell.weight_ih, cell.weight_hh, bias)
        pair = isinstance(got, list | tuple) and len(got) == 2
        expect(pair, "return two tensors, the new h and the new c")
        where = f"after a step with D = {width} and H = {size}"
        expect_close(got[1], want_c, f"the memory c, second of the two, {where}")
        expect_close(got[0], want_h, f"the output h, first of the two, {where}")
    return "forget, let in, show: PyTorch's own cell arrives at the same two vectors"


# 2.5 ------------------------------------------------------------------------------------------

GOOD = ["good", "warm", "clean", "kind"]
BAD = ["bad", "cold", "dirty", "rude"]
OTHER = ["the", "room", "was", "and", "we", "staff", "very", "food", "there", "it"]


def _reviews(count: int) -> tuple[list[str], list[int]]:
    texts, labels = [], []
    for _ in range(count):
        label = random.randint(0, 1)
        told = random.choices((BAD, GOOD)[label], k=2) + random.choices(OTHER, k=5)
        random.shuffle(told)
        texts.append(" ".join(told))
        labels.append(label)
    return texts, labels


def always_the_majority(train: Texts, labels: Sequence[int], texts: Texts) -> list[int]:
    return [max(set(labels), key=list(labels).count)] * len(texts)


def brings_its_own_words(train: Texts, labels: Sequence[int], texts: Texts) -> list[int]:
    return [int(any(word in GOOD for word in text.split())) for text in texts]


def calls_the_upper_half_positive(train: Texts, labels: Sequence[int], texts: Texts) -> list[int]:
    weight: Counter[str] = Counter()
    for text, label in zip(train, labels, strict=True):
        weight.update(dict.fromkeys(text.split(), 2 * label - 1))
    scores = [sum(weight[word] for word in text.split()) for text in texts]
    return [int(score >= float(np.median(scores))) for score in scores]


def weighs_by_all_texts(train: Texts, labels: Sequence[int], texts: Texts) -> list[int]:
    # The idf comes from the texts that are asked about as well.
    rows = TfidfVectorizer().fit([*train, *texts])
    model = LinearSVC(random_state=0).fit(rows.transform(train), labels)
    return [int(label) for label in model.predict(rows.transform(texts))]


@exercise(
    "2.5",
    wrong=[
        always_the_majority,
        brings_its_own_words,
        calls_the_upper_half_positive,
        weighs_by_all_texts,
    ],
)
def improved(answer: Answer) -> str:
    train, labels = _reviews(240)
    texts, true = _reviews(60)

    def said(given: Sequence[int], asked: Texts) -> list[int]:
        got = answer(list(train), list(given), list(asked))
        expect(
            hasattr(got, "__len__") and len(got) == len(asked),
            f"for {len(asked)} texts your function should return {len(asked)} labels",
        )
        found = [int(label) for label in got]
        expect(
            set(found) <= {0, 1},
            f"where the training labels are 0 and 1 you say {sorted(set(found))}",
        )
        return found

    together = said(labels, texts)
    share = float(np.mean(np.array(together) == true))
    expect(
        share >= 0.85,
        f"on 60 easy texts, made of a few words, only {share:.0%} of your labels are right",
    )
    turned = said([1 - label for label in labels], texts)
    share = float(np.mean(np.array(turned) != true))
    expect(
        share >= 0.85,
        "where all training labels are turned round, so should your answers be, but only "
        f"{share:.0%} of them are: does it learn from the labels?",
    )
    sentence = (
        "a text got another label alone than in company: nothing may come from all `texts` at "
        "once, since the next text is not there yet"
    )
    alone = [said(labels, [text])[0] for text in texts[:8]]
    expect(alone == together[:8], sentence)
    one_side = [text for text, label in zip(texts, true, strict=True) if label == 1]
    in_company = [label for label, right in zip(together, true, strict=True) if right == 1]
    expect(said(labels, one_side) == in_company, sentence)
    mixed = [f"{good} {bad} {other}" for good in GOOD for bad in BAD for other in OTHER[:2]]
    crowds = [[" ".join(side)] * 2000 for side in (GOOD, BAD)]
    answers = [said(labels, mixed + crowd)[: len(mixed)] for crowd in crowds]
    expect(answers[0] == answers[1], sentence)
    return "it learns from the labels, and answers each text as if it were alone"
