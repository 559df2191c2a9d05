"""Exercises of chapter 2: right answers unlike the book's own are found right as well."""

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.naive_bayes import MultinomialNB

from companion.classification.baselines.small_networks import WordVectors, WordVectorsConfig
from companion.exercises import chapter_02
from tests.exercises.answers import found_right, told_what_is_missing


def asks_scikit_learn(word, positive, negative, alpha):
    counter = CountVectorizer(token_pattern=r"\S+")
    counts = counter.fit_transform([*positive, *negative])
    classes = [1] * len(positive) + [0] * len(negative)
    fitted = MultinomialNB(alpha=alpha).fit(counts, classes)
    if word not in counter.vocabulary_:
        return 0
    column = fitted.feature_log_prob_[:, counter.vocabulary_[word]]
    return column[1] - column[0]


def transformed(counts):
    return TfidfTransformer().fit_transform(counts).toarray()


def rows_of_the_package(ids, longest, buckets):
    network = WordVectors(WordVectorsConfig(vocab_size=4, longest=longest, buckets=buckets))
    batch = torch.tensor([ids])
    found = network.ngrams(batch, torch.ones_like(batch) != 0)
    return [row for rows, _ in found for row in rows[0].tolist()]


def cell_of_torch(x, h, c, w, u, b):
    cell = torch.nn.LSTMCell(len(x), len(h))
    with torch.no_grad():
        cell.weight_ih.copy_(w)
        cell.weight_hh.copy_(u)
        cell.bias_ih.copy_(b)
        cell.bias_hh.zero_()
        return cell(x, (h, c))


def bayes_on_words(train_texts, train_labels, texts):
    counter = CountVectorizer()
    fitted = MultinomialNB().fit(counter.fit_transform(train_texts), train_labels)
    return fitted.predict(counter.transform(texts))


test_another_right_answer_is_found_right = found_right(
    [
        ("2.1", asks_scikit_learn),
        ("2.2", transformed),
        ("2.3", rows_of_the_package),
        ("2.4", cell_of_torch),
        ("2.5", bayes_on_words),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("2.1", lambda word, positive, negative, alpha: "0", "should"),
        ("2.1", chapter_02.judges_the_unknown, "'breakfast', which is in no text"),
        ("2.1", chapter_02.turned_round, "the log-odds of 'good'"),
        ("2.2", lambda counts: counts[0] * 1.0, "the shape (4, 3)"),
        ("2.2", chapter_02.divides_by_zero, "is not a number"),
        ("2.2", lambda counts: np.multiply(counts, 0, out=counts), "changes `counts`"),
        ("2.3", chapter_02.pairs_only, "should have 5 items but has 3"),
        ("2.3", chapter_02.single_ids_too, "should have 3 items but has 7"),
        ("2.3", lambda ids, longest, buckets: 3, "should be a list"),
        ("2.4", lambda x, h, c, w, u, b: h, "return two tensors"),
        ("2.4", chapter_02.shows_the_raw_memory, "the output h"),
        ("2.4", chapter_02.squashes_g_by_sigma, "the memory c"),
        ("2.4", chapter_02.memory_first, "the memory c, second of the two"),
        ("2.5", lambda train, labels, texts: [0], "should return 60 labels"),
        ("2.5", chapter_02.always_the_majority, "of your labels are right"),
        ("2.5", chapter_02.brings_its_own_words, "does it learn from the labels?"),
        ("2.5", chapter_02.calls_the_upper_half_positive, "alone than in company"),
        ("2.5", chapter_02.weighs_by_all_texts, "alone than in company"),
        ("2.5", lambda train, labels, texts: [7] * len(texts), "you say [7]"),
    ]
)
