"""Training a WordPiece vocabulary, merge by merge; taught in chapter 5.

Every word starts as its characters, all but the first with ``##`` in front. Again and again the
pair of neighbours with the best score is joined to one new token, until the vocabulary is full.
Two scores are in use, with n() the number of occurrences in the corpus:

- ``frequency``: n(ab). This is byte-pair encoding (Sennrich et al. 2016,
  https://aclanthology.org/P16-1162) and what the WordPiece trainer of ``tokenizers`` computes.
  The default, for it needs fewer tokens a text.
- ``likelihood``: n(ab) / (n(a) n(b)), often given as WordPiece's rule: the factor by which one
  joint raises the likelihood under a unigram model, roughly. It joins what is rarely seen apart.
  The original WordPiece (Schuster and Nakajima 2012) takes the pair whose joints all together
  raise it most, which also counts how many there are; chapter 5 compares the three.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Literal

from companion.errors import DataError, SettingsError
from companion.text.files import SPECIAL_TOKENS
from companion.text.normalize import Normalizer

Score = Literal["frequency", "likelihood"]
Pair = tuple[int, int]


def count_words(texts: Iterable[str], normalizer: Normalizer) -> Counter[str]:
    """How often each normalised word stands in `texts`."""
    chunks: Counter[str] = Counter()
    pattern = normalizer.chunks()
    for text in texts:
        chunks.update(pattern.findall(text))
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word in normalizer.words(chunk):
            words[word.text] += count
    return words


def train_wordpiece(
    word_counts: Mapping[str, int],
    vocab_size: int,
    *,
    score: Score = "frequency",
    min_frequency: int = 2,
    limit_alphabet: int | None = None,
) -> list[str]:
    """Learn a vocabulary of at most `vocab_size` tokens from the words of a corpus.

    Returns the special tokens, the characters, their ``##`` forms, and then the joined tokens in
    the order they were found. A pair is joined only if it occurs `min_frequency` times, so a
    small corpus gives fewer tokens than asked for. `limit_alphabet` keeps only so many of the
    most frequent characters; words with any other are left out (they will be ``[UNK]``).
    Of two pairs with the same score the one whose tokens have the smaller ids is joined.

    Raises DataError when there are no words or their characters alone overfill the vocabulary,
    and SettingsError for an unknown `score`.
    """
    if score not in ("frequency", "likelihood"):
        raise SettingsError(f"There is no score {score!r}; choose frequency or likelihood.")
    words = [(word, count) for word, count in word_counts.items() if count > 0]
    character_counts: Counter[str] = Counter()
    for word, count in words:
        for char in word:
            character_counts[char] += count
    # Ties fall to the smaller character, so that the result does not depend on the texts' order.
    ranked = sorted(character_counts, key=lambda char: (-character_counts[char], char))
    alphabet = set(ranked[:limit_alphabet])
    words = [(word, count) for word, count in words if alphabet.issuperset(word)]
    inside = {f"##{char}" for word, _ in words for char in word[1:]}
    tokens = list(dict.fromkeys([*SPECIAL_TOKENS, *sorted(alphabet), *sorted(inside)]))
    if not words:
        raise DataError("There are no words to train on: the texts are empty or only white space.")
    if len(tokens) > vocab_size:
        raise DataError(
            f"The {len(alphabet):,} characters of the texts and their ## forms take "
            f"{len(tokens):,} tokens, more than vocab_size = {vocab_size:,}: raise vocab_size, or "
            "keep only the frequent characters with limit_alphabet."
        )

    ids = {token: i for i, token in enumerate(tokens)}
    corpus = _Corpus(words, ids)
    queue = [(-corpus.score(pair, score), pair) for pair in corpus.pair_counts]
    heapify(queue)
    while len(tokens) < vocab_size and queue:
        negative_score, pair = heappop(queue)
        if corpus.pair_counts[pair] < max(min_frequency, 1):
            continue
        if -negative_score != corpus.score(pair, score):
            continue  # an old entry: when the score changed, a new one was put in
        left, right = pair
        token = tokens[left] + tokens[right].removeprefix("##")
        if token not in ids:
            ids[token] = len(tokens)
            tokens.append(token)
        changed = corpus.merge(pair, ids[token])
        if score == "likelihood":  # n(left) and n(right) fell, so other pairs' scores rose
            changed |= corpus.pairs_with[left] | corpus.pairs_with[right]
        for other in changed:
            if corpus.pair_counts[other] > 0:
                heappush(queue, (-corpus.score(other, score), other))
    return tokens


class _Corpus:
    """The distinct words as lists of token ids, with all counts kept up to date."""

    def __init__(self, words: list[tuple[str, int]], ids: Mapping[str, int]) -> None:
        self.words = [
            [ids[f"##{char}" if i else char] for i, char in enumerate(word)] for word, _ in words
        ]
        self.word_counts = [count for _, count in words]
        self.token_counts: Counter[int] = Counter()
        self.pair_counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        self.pairs_with: defaultdict[int, set[Pair]] = defaultdict(set)
        for index in range(len(words)):
            self._count(index, +1)

    def score(self, pair: Pair, score: Score) -> float:
        count = self.pair_counts[pair]
        if score == "frequency":
            return count
        return count / (self.token_counts[pair[0]] * self.token_counts[pair[1]])

    def merge(self, pair: Pair, token: int) -> set[Pair]:
        """Join `pair` to `token` wherever it stands; returns the pairs whose count changed."""
        changed: set[Pair] = set()
        for index in self.words_with.pop(pair):
            changed.update(pairwise(self.words[index]))
            self._count(index, -1)
            self.words[index] = _join(self.words[index], pair, token)
            self._count(index, +1)
            changed.update(pairwise(self.words[index]))
        return changed

    def _count(self, index: int, sign: int) -> None:
        word, count = self.words[index], sign * self.word_counts[index]
        for token in word:
            self.token_counts[token] += count
        for pair in pairwise(word):
            self.pair_counts[pair] += count
            self.words_with[pair].add(index)
            self.pairs_with[pair[0]].add(pair)
            self.pairs_with[pair[1]].add(pair)


def _join(word: list[int], pair: Pair, token: int) -> list[int]:
    joined: list[int] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] = token
        else:
            joined.append(symbol)
    return joined
