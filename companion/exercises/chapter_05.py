"""Checkers of chapter 5, "Tokenization"."""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from companion.exercises import exercise, expect, expect_close

Answer = Callable[..., Any]
Words = Mapping[tuple[str, ...], int]  # a word's pieces -> how often the word stands in the corpus
Pair = tuple[str, str]
Offsets = Sequence[tuple[int, int]]


def right_share(train_words: Sequence[str], test_words: Sequence[str], size: int) -> float:
    known = {word for word, _ in Counter(train_words).most_common(size)}
    return sum(word not in known for word in test_words) / len(test_words)


def counts_each_word_once(
    train_words: Sequence[str], test_words: Sequence[str], size: int
) -> float:
    return right_share(train_words, sorted(set(test_words)), size)


def keeps_every_word(train_words: Sequence[str], test_words: Sequence[str], size: int) -> float:
    return right_share(train_words, test_words, len(train_words))


def keeps_the_first_met(train_words: Sequence[str], test_words: Sequence[str], size: int) -> float:
    return right_share(list(dict.fromkeys(train_words))[:size], test_words, size)


@exercise("5.1", wrong=[counts_each_word_once, keeps_every_word, keeps_the_first_met])
def unknown_share(answer: Answer) -> str:
    for words in (6, 12, 20):
        # Word i stands 2 i + 1 times, so no two are equally frequent.
        train = [f"w{i}" for i in range(words) for _ in range(2 * i + 1)]
        random.shuffle(train)
        test = random.choices([*sorted(set(train)), "new"], k=40)
        size = words // 2
        where = f"with the {size} most frequent of {words} words"
        want = right_share(train, test, size)
        got = answer(list(train), list(test), size)
        expect(
            isinstance(got, Real),
            f"{where} the result should be a number, the share of the test words, but is {got!r}",
        )
        expect(
            abs(got - want) < 1e-9 or abs(got - (1 - want)) > 1e-9,
            f"{where} {got:.3f} is the share that is known; the share that is not is wanted",
        )
        expect(
            got == want or got != keeps_every_word(train, test, size),
            f"{where} {got:.3f} is the share with all words of train; keep only `size` of them",
        )
        expect(
            got == want or got != counts_each_word_once(train, test, size),
            f"{where} {got:.3f} counts each word of test once; a word that stands there five times "
            "counts five times",
        )
        expect_close(got, want, f"the unknown share {where}")
    return "the most frequent words are kept, and every occurrence in test counts"


def scores_of(words: Words, score: str) -> dict[Pair, float]:
    pieces: Counter[str] = Counter()
    pairs: Counter[Pair] = Counter()
    for word, count in words.items():
        for piece in word:
            pieces[piece] += count
        for pair in pairwise(word):
            pairs[pair] += count
    if score == "frequency":
        return {pair: float(count) for pair, count in pairs.items()}
    return {(a, b): count / (pieces[a] * pieces[b]) for (a, b), count in pairs.items()}


def best_of(scores: Mapping[Pair, float]) -> Pair:
    return max(scores, key=scores.__getitem__)


def forgets_how_often_a_word_stands(words: Words, score: str) -> Pair:
    return best_of(scores_of(dict.fromkeys(words, 1), score))


def always_takes_the_count(words: Words, score: str) -> Pair:
    return best_of(scores_of(words, "frequency"))


def returns_the_joined_piece(words: Words, score: str) -> str:
    return "".join(best_of(scores_of(words, score)))


@exercise(
    "5.2",
    wrong=[forgets_how_often_a_word_stands, always_takes_the_count, returns_the_joined_piece],
)
def best_pair(answer: Answer) -> str:
    corpora: list[Words] = [{("l", "##o", "##w"): 5, ("n", "##e", "##w"): 6, ("q", "##u"): 3}]
    for _ in range(20):
        drawn = {}
        for length in random.choices([1, 2, 3, 4], k=8):
            word = random.choices("abcde", k=length)
            drawn[word[0], *(f"##{letter}" for letter in word[1:])] = random.randint(1, 30)
        corpora.append(drawn)
    for words in corpora:
        for score in ("frequency", "ratio"):
            scores = scores_of(words, score)
            best = best_of(scores)
            if sum(value > scores[best] - 1e-9 for value in scores.values()) > 1:
                continue  # a tie: either would be right
            got = answer(dict(words), score)
            shown = ", ".join(f"{' '.join(word)} ({count})" for word, count in words.items())
            where = f"by {score}, of the words {shown}"
            expect(
                isinstance(got, tuple | list) and len(got) == 2,
                f"{where}: a pair of two pieces should be returned, such as {best}, not {got!r}",
            )
            got = tuple(got)
            expect(got in scores, f"{where}: {got} do not stand side by side in any word")
            expect(
                got == best,
                f"{where}: {got} has the score {scores[got]:.4g} and {best} has "
                f"{scores[best]:.4g}; a word that stands n times counts n times, in the counts of "
                "pairs and of pieces",
            )
    return "pairs are counted in running words, and both scores choose as they should"


def shortest(word: str, vocab: Collection[str]) -> list[str] | None:
    best: list[list[str] | None] = [[]]  # best[i]: the fewest pieces of word[:i]
    for end in range(1, len(word) + 1):
        choices = []
        for start in range(end):
            piece, before = ("##" if start else "") + word[start:end], best[start]
            if before is not None and piece in vocab:
                choices.append([*before, piece])
        best.append(min(choices, key=len, default=None))
    return best[-1]


def longest_first(word: str, vocab: Collection[str]) -> list[str] | None:
    pieces: list[str] = []
    start = 0
    while start < len(word):
        ends = range(len(word), start, -1)
        marked = [("##" if start else "") + word[start:end] for end in ends]
        found = next((piece for piece in marked if piece in vocab), None)
        if found is None:
            return None
        pieces.append(found)
        start += len(found.removeprefix("##"))
    return pieces


def forgets_the_marks(word: str, vocab: Collection[str]) -> list[str] | None:
    return shortest(word, {piece.removeprefix("##") for piece in vocab} | set(vocab))


def unknown_becomes_a_token(word: str, vocab: Collection[str]) -> list[str]:
    return shortest(word, vocab) or ["[UNK]"]


@exercise("5.3", wrong=[longest_first, forgets_the_marks, unknown_becomes_a_token])
def fewest_pieces(answer: Answer) -> str:
    cases: list[tuple[str, set[str]]] = [
        ("unable", {"un", "una", "##able", "##ble", "u", "##n"}),
        ("unable", {"un", "una", "##able"}),  # the longest first piece leads nowhere
        ("xy", {"x"}),
        ("xy", {"x", "y"}),
        ("unbelievably", {"unbelie", "##va", "##v", "##bl", "##y", "##ably"}),
    ]
    for _ in range(40):
        word = "".join(random.choices("abc", k=random.randint(1, 9)))
        stretches = {word[i : i + k] for i in range(len(word)) for k in (1, 2, 3)}
        cases.append((word, {random.choice(["", "##"]) + part for part in sorted(stretches)}))
    for word, vocab in cases:
        want, got = shortest(word, vocab), answer(word, set(vocab))
        where = f"{word!r} with the pieces {', '.join(sorted(vocab)[:8])}"
        if want is None:
            expect(not got, f"{where} cannot be cut to its end: return None instead of {got!r}")
            continue
        expect(got, f"{where} can be cut into {' '.join(want)}, but nothing was found")
        expect(
            isinstance(got, list | tuple) and all(isinstance(piece, str) for piece in got),
            f"{where}: a list of pieces should be returned, such as {want}, not {got!r}",
        )
        missing = [piece for piece in got if piece not in vocab]
        expect(not missing, f"{where}: {missing[:1]} is not in the vocabulary")
        marked = [piece.startswith("##") for piece in got]
        expect(
            marked == [i > 0 for i in range(len(got))]
            and "".join(piece.removeprefix("##") for piece in got) == word,
            f"{where}: {' '.join(got)} does not spell the word; all pieces but the first begin "
            "with ##, and the first does not",
        )
        expect(
            len(got) == len(want),
            f"{where}: {' '.join(got)} are {len(got)} pieces, but {' '.join(want)} are only "
            f"{len(want)}; the longest piece at one place may cost two at the next",
        )
    return "every cut spells its word, and none has fewer pieces"


def only_tokens_wholly_inside(offsets: Offsets, start: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(offsets) if start <= a < b <= end]


def neighbours_too(offsets: Offsets, start: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(offsets) if a <= end and b >= start]


def takes_special_tokens(offsets: Offsets, start: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(offsets) if a < end and (b > start or a == b == start)]


@exercise("5.4", wrong=[only_tokens_wholly_inside, neighbours_too, takes_special_tokens])
def tokens_of(answer: Answer) -> str:
    for _ in range(30):
        # Words of one to four characters with a blank now and then, between [CLS] and [SEP].
        offsets, position = [(0, 0)], 0
        for _ in range(random.randint(3, 7)):
            width = random.randint(1, 4)
            offsets.append((position, position + width))
            position += width + random.choice([0, 0, 1])
        offsets.append((0, 0))
        start = random.choice([0, *range(position - 1)])
        end = random.randint(start + 1, position)
        want = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        got = answer(list(offsets), start, end)
        got = got.tolist() if hasattr(got, "tolist") else got  # an array is as good as a list
        where = f"offsets {offsets}, text[{start}:{end}]"
        expect(
            isinstance(got, Sequence)
            and all(isinstance(item, Integral) and not isinstance(item, bool) for item in got),
            f"{where}: a list of token numbers should be returned, not {got!r}",
        )
        extra, absent = sorted(set(got) - set(want)), sorted(set(want) - set(got))
        expect(
            not set(extra) & {0, len(offsets) - 1},
            f"{where}: token {extra[:1]} is special; its (0, 0) stands for no character at all",
        )
        expect(
            not extra,
            f"{where}: token {extra[:1]} does not overlap it; an end is the first character that "
            "no longer belongs",
        )
        expect(
            not absent,
            f"{where}: token {absent[:1]} is missing; to overlap in one character is enough",
        )
        expect(list(got) == want, f"{where}: the tokens should be {want}, in order, not {got}")
    return "all tokens that share a character with the stretch are found, and no special one"


WIDE = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
WIDE_LETTERS_AND_DIGITS = {wide: narrow for wide, narrow in WIDE.items() if narrow.isalnum()}


def folds_everything(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def folds_punctuation_too(text: str) -> str:
    return "".join(WIDE.get(char, char) for char in text)


def lowers_too(text: str) -> str:
    return "".join(WIDE_LETTERS_AND_DIGITS.get(char, char) for char in text).lower()


@exercise("5.5", wrong=[folds_everything, folds_punctuation_too, lowers_too])
def tidy_wide(answer: Answer) -> str:
    plain = "房间很干净，WiFi也快！\u3000（2008年）100㎡…ﾄ①"
    for _ in range(20):
        wide = "".join(random.choices(sorted(WIDE_LETTERS_AND_DIGITS), k=6))
        text = f"{plain}{wide}：{plain[: random.randint(0, 9)]}"
        want = "".join(WIDE_LETTERS_AND_DIGITS.get(char, char) for char in text)
        got = answer(text)
        expect(isinstance(got, str), f"{text!r}: a string should be returned, not {got!r}")
        still = [char for char in got if char in WIDE_LETTERS_AND_DIGITS]
        expect(not still, f"{text!r}: {''.join(still[:3])} is still wide")
        expect(
            len(got) == len(text),
            f"{text!r} has {len(text)} characters and came back with {len(got)}; keep the length, "
            "or offsets will no longer quote the original (NFKC turns … into three dots)",
        )
        changed = [(a, b) for a, b in zip(want, got, strict=True) if a != b]
        expect(
            not changed,
            f"{text!r}: {changed[:1]} should have stayed as it was; wide punctuation such as ， "
            "is what Chinese is written with, and capitals are the tokenizer's business",
        )
    return "wide letters and digits become plain ones, place by place, and all else stays"
