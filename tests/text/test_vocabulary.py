"""The command that makes the shipped vocabulary, its sources, and what it shipped."""

import gzip
import lzma
import unicodedata
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from companion.errors import DataError, NotFoundError
from companion.text import WordPieceTokenizer, coverage, vocabulary
from companion.text.coverage import measure_coverage
from companion.text.files import SPECIAL_TOKENS
from companion.text.sources import read_texts, sample_evenly
from companion.text.vocabulary import (
    CHINESE,
    choose_characters,
    gb2312_level_1,
    train_bilingual,
)
from tests.text.test_reference import SAMPLE, SHIPPED
from tests.text.test_wordpiece import SPECIAL, TEN


@pytest.fixture(scope="module")
def shipped() -> WordPieceTokenizer:
    return WordPieceTokenizer.from_vocab(SHIPPED)


def test_the_shipped_vocabulary_begins_with_the_special_tokens(shipped):
    assert shipped.tokens[:5] == list(SPECIAL_TOKENS)
    assert len(shipped) == 16_000


def test_the_shipped_vocabulary_is_lower_cased_and_holds_no_two_chinese_characters(shipped):
    for token in shipped.tokens[5:]:
        bare = token.removeprefix("##") or token
        assert shipped.normalizer.normalize(bare).text.strip() == bare
        assert len(bare) == 1 or CHINESE.isdisjoint(bare)


def test_every_letter_digit_and_emoji_can_stand_inside_a_word(shipped):
    for word in ("zq9xj", "great👍👍🏽", "0x7f3a9"):
        assert "[UNK]" not in shipped.encode(word).tokens


def test_the_shipped_vocabulary_knows_the_sample(shipped):
    assert measure_coverage(shipped, SAMPLE).unknown_rate < 0.001


def test_the_shipped_folder_is_what_saving_writes(shipped, tmp_path):
    shipped.save(tmp_path)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (SHIPPED.parent / name).read_bytes()
    theirs = AutoTokenizer.from_pretrained(SHIPPED.parent)
    assert theirs("a", "b")["token_type_ids"] == [0, 0, 0, 1, 1]


def test_gb2312_level_1_is_the_standards_3755_characters():
    characters = gb2312_level_1()
    assert (len(characters), characters[0], characters[-1]) == (3755, "啊", "座")
    assert CHINESE.issuperset(characters)


def test_characters_are_chosen_by_standard_and_frequency():
    counts = Counter({"龘": 9, "龖": 8, "ж": 20, "ш": 19, " ": 99})
    chosen = set(choose_characters(counts, chinese=3756, min_count=20))
    assert {"龘", "ж", "的", "。", "？", "ａ", "🥳", "#"} <= chosen
    assert not {"龖", "ш", " "} & chosen
    assert sum(char in CHINESE for char in chosen) == 3756


def test_training_gives_exactly_the_size_asked_for_and_the_same_every_time():
    first = train_bilingual(SAMPLE, 5000, chinese=3800)
    assert len(first) == 5000
    assert first == train_bilingual(list(reversed(SAMPLE)), 5000, chinese=3800)
    assert [unicodedata.name(token) for token in first if token in "的👍"] != []


def test_too_little_text_for_the_size_is_an_error():
    with pytest.raises(DataError, match="give more text or another number"):
        train_bilingual(["tiny"], 16_000)


def test_texts_are_read_from_every_kind_of_file(tmp_path):
    plain = "one\n二\n"
    (tmp_path / "a.txt").write_text(plain)
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(plain.encode()))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(plain.encode()))
    (tmp_path / "a.csv").write_text('label,text\n1,"one"\n0,二\n')
    (tmp_path / "a.tsv").write_text('label\ttext\n1\tone\n0\t"二\n')
    (tmp_path / "b.txt").write_text("one\t1\n二\t0\n")
    pq.write_table(pa.table({"text": ["one", "二"]}), tmp_path / "a.parquet")
    for name in ("a.txt", "a.txt.xz", "a.txt.gz", "a.csv:text", "b.txt:1", "a.parquet:text"):
        assert list(read_texts(str(tmp_path / name))) == ["one", "二"], name
    assert list(read_texts(f"{tmp_path}/a.tsv:text")) == ["one", '"二']


@pytest.mark.parametrize(
    ("name", "content", "source", "sentence"),
    [
        ("a.csv", b"label,text\n", "a.csv:review", "line 1, has no column 'review' but label"),
        ("a.csv", b"", "a.csv:review", "has no column 'review' but nothing"),
        ("a.txt", "酒店".encode("gbk"), "a.txt", "is not UTF-8"),
        ("a.txt.xz", b"no", "a.txt.xz", "is damaged or not what its name says"),
        ("a.txt.gz", b"no", "a.txt.gz", "is damaged or not what its name says"),
        ("a.parquet", b"no", "a.parquet:text", "is damaged or not what its name says"),
    ],
)
def test_a_bad_source_is_answered_with_a_sentence(tmp_path, name, content, source, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        list(read_texts(f"{tmp_path}/{source}"))


def test_a_missing_source_and_a_missing_parquet_column_are_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"There is no file .*a\.txt"):
        list(read_texts(f"{tmp_path}/a.txt"))
    pq.write_table(pa.table({"text": ["one"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has no column 'review'"):
        list(read_texts(f"{tmp_path}/a.parquet:review"))


def test_a_sample_is_spread_evenly_and_the_same_every_time(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"{i:010}\n" for i in range(1000)))
    sample = list(sample_evenly(f"{tmp_path}/a.txt", 0.001))  # a tenth
    assert len(sample) == pytest.approx(100, abs=1)
    steps = {int(b) - int(a) for a, b in pairwise(sample)}
    assert steps <= {9, 10, 11}
    assert sample == list(sample_evenly(f"{tmp_path}/a.txt", 0.001))


def test_the_commands_train_a_vocabulary_and_measure_it(tmp_path, capsys):
    (tmp_path / "train.txt").write_text("\n".join(SAMPLE))
    (tmp_path / "dev.txt").write_text("\n".join(SAMPLE[:50]))
    train, out = str(tmp_path / "train.txt"), str(tmp_path / "out")
    vocabulary.main(
        [train, "--out", out, "--exclude", f"{tmp_path}/dev.txt", "--vocab-size", "5000",
         "--chinese", "3800"]
    )  # fmt: skip
    count = len(set(SAMPLE) - set(SAMPLE[:50]))
    assert f"5,000 tokens from {count:,} texts" in capsys.readouterr().out
    coverage.main([f"{out}/vocab.txt", "--texts", f"{tmp_path}/dev.txt"])
    assert f"| {tmp_path.name}/dev.txt (50) | vocab | " in capsys.readouterr().out


def test_the_commands_end_with_2_and_a_sentence_on_a_mistake(tmp_path, capsys):
    for main in (vocabulary.main, coverage.main):
        option = "--out" if main is vocabulary.main else "--texts"
        with pytest.raises(SystemExit, match="2"):
            main([f"{tmp_path}/none.txt", option, str(tmp_path)])
        assert "There is no file" in capsys.readouterr().err


def test_coverage_counts_words_pieces_and_unknown_words():
    tokenizer = WordPieceTokenizer([*SPECIAL, *TEN])
    measured = measure_coverage(tokenizer, ["unwanted 博 x", "running"])
    assert (measured.texts, measured.words, measured.tokens, measured.unknown) == (2, 4, 7, 1)
    assert measured.characters == 17
    assert measured.tokens_per_word == 7 / 4
    assert measured.tokens_per_text == 3.5
    assert measured.unknown_rate == 1 / 4
    with pytest.raises(DataError, match="no text to measure"):
        measure_coverage(tokenizer, ["  "])
