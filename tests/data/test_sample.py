"""The shipped sample stays varied, balanced and honestly split.

What is measured: how many of the word groups occur once, how many texts open alike, how far the
lengths spread, and how much any two texts share. The same measures refuse a templated list below.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import combinations, product
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "companion" / "data" / "sample"
SENTIMENT = {"negative", "positive"}
TOPICS = {
    *("finance", "realty", "stocks", "education", "science"),
    *("society", "politics", "sports", "game", "entertainment"),
}
# file: labels, fewest rows, fewest rows of a label, least length ratio of long to short texts
FILES = {
    "reviews-en.csv": (SENTIMENT, 420, 210, 3.0),
    "reviews-zh.csv": (SENTIMENT, 400, 200, 2.0),
    "headlines-en.csv": (TOPICS, 220, 22, 1.5),
    "headlines-zh.csv": (TOPICS, 200, 20, 1.3),
}
SHARES = {"train": 0.70, "dev": 0.15, "test": 0.15}

DISTINCT_PAIRS = 0.70  # share of distinct groups of two units among all such groups
DISTINCT_TRIPLES = 0.94
SAME_OPENING = 0.02  # share of texts that begin with the same two units
TOO_ALIKE = 0.5  # Jaccard similarity of the character groups of two texts

UNIT = re.compile(r"[\u4e00-\u9fff]|[a-z0-9']+")


def units(text: str) -> list[str]:
    """Lower-case words and numbers; each Chinese character is a unit of its own."""
    return UNIT.findall(text.lower())


def groups(items: list[str] | str, size: int) -> list[tuple[str, ...]]:
    return [tuple(items[i : i + size]) for i in range(len(items) - size + 1)]


def similarity(a: set, b: set) -> float:
    """Jaccard similarity |A ∩ B| / |A ∪ B|; 0 where the sizes alone keep it below one half."""
    if 2 * min(len(a), len(b)) < max(len(a), len(b)):
        return 0.0
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def near_duplicates(texts: list[str]) -> list[tuple[str, str]]:
    """Pairs sharing over half their groups of 4 letters (of 2 characters in Chinese)."""
    chinese = sum("\u4e00" <= c <= "\u9fff" for t in texts for c in t) > len(texts)
    plain = ["".join(units(t)) if chinese else " ".join(units(t)) for t in texts]
    size = 2 if chinese else 4
    sets = [set(groups(p, size)) or {(p,)} for p in plain]
    return [
        (texts[i], texts[j])
        for i, j in combinations(range(len(texts)), 2)
        if similarity(sets[i], sets[j]) > TOO_ALIKE
    ]


def faults(texts: list[str], length_ratio: float) -> list[str]:
    """What makes a list of texts monotonous, a sentence each; empty for a varied list."""
    found = []
    split = [units(t) for t in texts]
    for size, least in ((2, DISTINCT_PAIRS), (3, DISTINCT_TRIPLES)):
        seen = [g for u in split for g in groups(u, size)]
        ratio = len(set(seen)) / len(seen)
        if ratio < least:
            found.append(f"distinct groups: {ratio:.3f} of those of {size} units, below {least}.")
    opening, count = Counter(tuple(u[:2]) for u in split).most_common(1)[0]
    if count > SAME_OPENING * len(texts):
        found.append(f"openings: {count} of {len(texts)} texts begin with {' '.join(opening)!r}.")
    lengths = sorted(len(u) for u in split)
    short, long = lengths[len(lengths) // 20], lengths[len(lengths) * 19 // 20]
    if long < length_ratio * short:
        found.append(f"lengths: 5% quantile {short}, 95% quantile {long}.")
    alike = near_duplicates(texts)
    if alike:
        found.append(f"near-duplicates: {len(alike)} pairs, such as {alike[0]}.")
    return found


def read(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_file_is_utf8_with_line_feeds_and_the_three_columns(name: str) -> None:
    raw = (SAMPLE / name).read_bytes()
    content = raw.decode("utf-8")
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert "\ufffd" not in content
    assert content.splitlines()[0] == "text,label,split"
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        assert {len(row) for row in csv.reader(file, strict=True)} == {3}


def test_every_text_is_one_trimmed_line_that_occurs_once(name: str) -> None:
    texts = [row["text"] for row in read(name)]
    assert all(t and t == t.strip() and "\n" not in t for t in texts)
    repeated = [k for k, n in Counter(" ".join(units(t)) for t in texts).items() if n > 1]
    assert repeated == []


def test_labels_are_the_documented_ones_and_balanced(name: str) -> None:
    labels, fewest, fewest_per_label, _ = FILES[name]
    counts = Counter(row["label"] for row in read(name))
    assert set(counts) == labels
    assert counts.total() >= fewest
    assert min(counts.values()) >= fewest_per_label
    assert max(counts.values()) <= 1.05 * min(counts.values())


def test_splits_hold_the_same_share_of_every_label(name: str) -> None:
    rows = read(name)
    assert {row["split"] for row in rows} == set(SHARES)
    cells = Counter((row["label"], row["split"]) for row in rows)
    totals = Counter(row["label"] for row in rows)
    for label, (split, share) in product(totals, SHARES.items()):
        assert cells[label, split] / totals[label] == pytest.approx(share, abs=0.05), (label, split)


def test_texts_are_varied_and_no_two_are_alike(name: str) -> None:
    assert faults([row["text"] for row in read(name)], FILES[name][3]) == []


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("reviews")])
def test_length_is_at_most_a_weak_hint_of_the_label(name: str) -> None:
    lengths: dict[str, list[int]] = {label: [] for label in SENTIMENT}
    for row in read(name):
        lengths[row["label"]].append(len(row["text"]))
    pairs = list(product(lengths["positive"], lengths["negative"]))
    wins = sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)  # area under the ROC curve
    assert 0.3 < wins < 0.7


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("reviews")])
def test_reviews_of_either_label_negate(name: str) -> None:
    negation = re.compile(r"\b(?:not|no|never|nothing|nobody)\b|n't\b|[不没无别]", re.IGNORECASE)
    counts = Counter(row["label"] for row in read(name) if negation.search(row["text"]))
    totals = Counter(row["label"] for row in read(name))
    assert all(counts[label] > 0.1 * totals[label] for label in SENTIMENT)


def test_readme_gives_the_true_number_of_rows() -> None:
    table = dict(
        re.findall(r"^\| `([\w.-]+)` \| (\d+) \|", (SAMPLE / "README.md").read_text("utf-8"), re.M)
    )
    assert table == {name: str(len(read(name))) for name in FILES}


TEMPLATED = {
    "en": [
        f"The {thing} was really {word} and I would {verb} it to {whom}."
        for thing, word, verb, whom in product(
            ["hotel", "film", "phone", "book", "meal"],
            ["good", "bad", "great", "awful"],
            ["recommend", "lend", "show"],
            ["my friends", "a colleague", "everyone", "my family"],
        )
    ],
    "zh": [
        f"这家{thing}真的很{word}，我{verb}推荐给{whom}。"
        for thing, word, verb, whom in product(
            ["酒店", "餐厅", "书店", "健身房", "影院"],
            ["好", "差", "干净", "糟糕"],
            ["一定会", "绝不会", "可能会"],
            ["朋友", "同事", "家里人", "所有人"],
        )
    ],
}


@pytest.mark.parametrize("language", TEMPLATED)
def test_a_templated_list_is_refused_by_every_measure(language: str) -> None:
    found = faults(TEMPLATED[language], 1.5)
    kinds = [sentence.split(":")[0] for sentence in found]
    assert kinds == ["distinct groups"] * 2 + ["openings", "lengths", "near-duplicates"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("reviews-en.csv", "the", "that"), ("reviews-zh.csv", "的", "之")],
)
def test_one_copied_row_with_a_word_changed_is_found(name: str, old: str, new: str) -> None:
    texts = [row["text"] for row in read(name)]
    victim = next(t for t in texts if len(units(t)) > 15 and old in units(t))
    changed = re.sub(rf"\b{old}\b" if old.isascii() else old, new, victim, count=1)
    assert changed != victim
    assert near_duplicates([*texts, changed]) == [(victim, changed)]


def test_a_dozen_templated_rows_slipped_into_the_sample_are_found() -> None:
    texts = [row["text"] for row in read("reviews-en.csv")]
    assert faults([*texts, *TEMPLATED["en"][:12]], 2.0) != []
