"""Exercises of chapter 5: right answers unlike the book's own are found right as well."""

import re
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np

from tests.exercises.answers import found_right, told_what_is_missing


def sorts_by_hand(train_words, test_words, size):
    counts = {}
    for word in train_words:
        counts[word] = counts.get(word, 0) + 1
    ranked = sorted(counts, key=counts.get, reverse=True)[:size]
    test = Counter(test_words)
    return sum(n for word, n in test.items() if word not in ranked) / sum(test.values())


def counts_with_numpy(train_words, test_words, size):
    kept = [word for word, _ in Counter(train_words).most_common(size)]
    return np.mean(~np.isin(test_words, kept))


def asks_every_pair(words, score):
    def count(pair):
        places = [
            n
            for word, n in words.items()
            for i in range(len(word) - 1)
            if [word[i], word[i + 1]] == pair
        ]
        return sum(places)

    pieces = sorted({piece for word in words for piece in word})
    single = {p: sum(n * word.count(p) for word, n in words.items()) for p in pieces}
    pairs = [[a, b] for a in pieces for b in pieces]
    if score == "frequency":
        return max(pairs, key=count)
    return max(pairs, key=lambda pair: count(pair) / single[pair[0]] / single[pair[1]])


def divides_by_the_sum(words, score):
    single, together = Counter(), Counter()
    for word, times in words.items():
        single.update({piece: times * word.count(piece) for piece in set(word)})
        for pair in pairwise(word):
            together[pair] += times
    if score == "frequency":
        return max(together, key=together.get)
    return max(together, key=lambda pair: together[pair] / (single[pair[0]] + single[pair[1]]))


def searches_breadth_first(word, vocab):
    paths = {0: ()}
    while paths:
        if len(word) in paths:
            return paths[len(word)]
        longer = {}
        for start, path in paths.items():
            for end in range(start + 1, len(word) + 1):
                piece = f"##{word[start:end]}" if start else word[:end]
                if piece in vocab:
                    longer.setdefault(end, (*path, piece))
        paths = longer
    return None


def longest_piece_from_the_end(word, vocab):
    pieces = []
    while word:
        ends = [("##" if i else "") + word[i:] for i in range(len(word))]
        piece = next((piece for piece in ends if piece in vocab), None)
        if piece is None:
            return None
        pieces.insert(0, piece)
        word = word.removesuffix(piece.removeprefix("##"))
    return pieces


def tries_the_rest(word, vocab, mark=""):
    if not word:
        return []
    best = None
    for end in range(len(word), 0, -1):
        if mark + word[:end] in vocab:
            rest = tries_the_rest(word[end:], vocab, "##")
            if rest is not None and (best is None or len(rest) + 1 < len(best)):
                best = [mark + word[:end], *rest]
    return best


def compares_arrays(offsets, start, end):
    begins, ends = np.array(offsets).T
    return np.flatnonzero((begins < end) & (ends > start))


def paints_characters(offsets, start, end):
    wanted = set(range(start, end))
    return [i for i, (a, b) in enumerate(offsets) if wanted & set(range(a, b))]


def translates_with_a_table(text):
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate({ord(char) + 0xFEE0: char for char in letters})


def asks_nfkc_for_letters_and_digits(text):
    def fold(match):
        return unicodedata.normalize("NFKC", match.group())

    return re.sub("[０-９Ａ-Ｚａ-ｚ]", fold, text)


test_another_right_answer_is_found_right = found_right(
    [
        ("5.1", sorts_by_hand),
        ("5.1", counts_with_numpy),
        ("5.2", asks_every_pair),
        ("5.3", searches_breadth_first),
        ("5.3", tries_the_rest),
        ("5.4", paints_characters),
        ("5.4", compares_arrays),
        ("5.5", translates_with_a_table),
        ("5.5", asks_nfkc_for_letters_and_digits),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("5.1", lambda train, test, size: [1, 2], "should be a number"),
        ("5.1", lambda *given: 1 - sorts_by_hand(*given), "is the share that is known"),
        ("5.1", lambda *given: 100 * sorts_by_hand(*given), "the unknown share"),
        ("5.2", lambda words, score: ("z", "##z"), "do not stand side by side"),
        ("5.2", divides_by_the_sum, "has the score"),
        ("5.3", lambda word, vocab: ["zz"], "is not in the vocabulary"),
        ("5.3", lambda word, vocab: [], "but nothing was found"),
        ("5.3", longest_piece_from_the_end, "but nothing was found"),
        ("5.4", lambda offsets, start, end: [], "to overlap in one character is enough"),
        ("5.4", lambda offsets, start, end: "1", "a list of token numbers"),
        ("5.4", lambda offsets, start, end: offsets[1:2], "a list of token numbers"),
        ("5.4", lambda offsets, a, b: [a < end for _, end in offsets], "a list of token numbers"),
        ("5.5", lambda text: text, "is still wide"),
        ("5.5", lambda text: list(text), "a string should be returned"),
    ]
)
