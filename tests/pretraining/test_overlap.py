"""A test text that hides in a corpus is found, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from companion.pretraining import PackedCorpus, overlap, prepare_corpus
from companion.pretraining.overlap import find_texts, window_places
from companion.text import WordPieceTokenizer
from tests.pretraining.texts import words_tokenizer


def words(first: int, last: int) -> str:
    return " ".join(f"w{i}" for i in range(first, last))


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return words_tokenizer(400)


@pytest.fixture(scope="module")
def corpus(tokenizer: WordPieceTokenizer, tmp_path_factory: pytest.TempPathFactory) -> PackedCorpus:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "read.txt").write_text(
        f"{words(0, 60)}\n{words(60, 90)}\n\n{words(100, 180)}\n", encoding="utf-8"
    )
    prepare_corpus(
        folder / "read.txt",
        folder / "packed",
        tokenizer=tokenizer,
        row_length=16,
        dev_share=0,
        min_tokens=1,
        progress=False,
    )
    return PackedCorpus.load(folder / "packed")


def test_a_text_inside_a_longer_paragraph_is_found_and_one_that_differs_is_not(
    corpus: PackedCorpus, tmp_path: Path
) -> None:
    inside = words(110, 130)
    over_two_paragraphs = words(50, 70)
    other_case = words(20, 40).upper()
    other_end = f"{words(110, 125)} w300"
    unread = words(200, 230)
    short = words(100, 100 + overlap.LEAST - 1)
    texts = [inside, other_end, over_two_paragraphs, unread, other_case, short]
    (tmp_path / "test.txt").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    (result,) = find_texts(corpus, tmp_path / "test.txt")
    assert (result.texts, result.short) == (5, 1)
    assert result.found == [inside, over_two_paragraphs, other_case]


@given(
    stream=arrays.arrays(np.uint16, st.integers(0, 40), elements=st.integers(0, 2)),
    windows=st.integers(1, 4).flatmap(
        lambda length: arrays.arrays(
            np.uint16, st.tuples(st.integers(0, 3), st.just(length)), elements=st.integers(0, 2)
        )
    ),
    at_once=st.integers(1, 12),
)
def test_places_are_those_of_a_plain_search(
    stream: np.ndarray, windows: np.ndarray, at_once: int
) -> None:
    length = windows.shape[1]
    expected = [
        [i for i in range(len(stream) - length + 1) if (stream[i : i + length] == w).all()]
        for w in windows
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "AT_ONCE", at_once)
        assert window_places(stream, windows) == expected


def test_the_command_prints_a_table_and_names_a_missing_corpus(
    corpus: PackedCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dev.txt").write_text(f"{words(0, 30)}\n", encoding="utf-8")
    overlap.main([str(corpus.folder), "--texts", str(tmp_path / "dev.txt")])
    assert "| dev | 1 | 0 | 1 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        overlap.main([str(tmp_path / "none"), "--texts", str(tmp_path / "dev.txt")])
    assert "no such folder" in capsys.readouterr().err
