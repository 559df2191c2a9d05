"""The corpus as a whole: what gets in, what is held out, the same bytes each time, loading."""

import gzip
import json
import lzma
import random
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import stats

import companion
from companion.errors import DataError, NotFoundError, SettingsError
from companion.pretraining import PackedCorpus, prepare_corpus
from companion.pretraining.cleaning import Memory, clean_paragraphs, hash64, letters
from companion.pretraining.reading import find_sources
from companion.text import WordPieceTokenizer
from companion.text.files import SPECIAL_TOKENS
from tests.pretraining.texts import (
    FIRST,
    all_pieces,
    contents,
    number_words,
    prepared,
    words_tokenizer,
    write_documents,
)

ASSETS = Path(companion.__file__).parent / "assets"  # the shipped Chinese and English tokenizer


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """300 documents of 1 to 3 paragraphs, 1,800 words."""
    rng = random.Random(0)
    sizes = [[rng.randint(1, 5) for _ in range(rng.randint(1, 3))] for _ in range(300)]
    folder = tmp_path_factory.mktemp("words")
    return write_documents(folder / "words.txt", number_words(sizes))


@pytest.fixture(scope="module")
def corpus(words) -> PackedCorpus:
    return prepared(words, words.parent / "corpus")


def texts_of(corpus: PackedCorpus, **which: str) -> list[str]:
    """The documents of both splits, spelt out, one paragraph a line."""
    decode = corpus.tokenizer.decode
    return [
        "\n".join(decode(paragraph) for paragraph in document)
        for name in ("train", "dev")
        for document in corpus.split(name, **which).documents
    ]


# Sources ------------------------------------------------------------------------------------------


def test_a_text_is_the_same_corpus_plain_or_packed(words, corpus, tmp_path):
    for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
        packed = tmp_path / f"words.txt{suffix}"
        packed.write_bytes(pack(words.read_bytes()))
        again = prepared(packed, tmp_path / suffix)
        assert again.manifest["splits"] == corpus.manifest["splits"]
        for name in ("train.rows.bin", "train.documents.bin", "dev.rows.bin"):
            assert (again.folder / name).read_bytes() == (corpus.folder / name).read_bytes()


def test_all_documents_are_there_in_their_order(words, corpus):
    """More of them than are looked at to tell the language."""
    written = words.read_text("utf-8").strip().split("\n\n")
    assert sorted(texts_of(corpus)) == sorted(written)
    for name in ("train", "dev"):
        documents = corpus.split(name).documents[:]
        assert documents == sorted(documents)


def test_windows_line_ends_a_mark_and_many_blank_lines_change_nothing(words, corpus, tmp_path):
    other = tmp_path / "words.txt"
    text = words.read_text("utf-8").replace("\n\n", "\n \n\t\n\n").replace("\n", "\r\n")
    other.write_bytes(b"\xef\xbb\xbf" + text.encode())
    again = prepared(other, tmp_path / "corpus")
    assert again.manifest["splits"] == corpus.manifest["splits"]


def test_a_folder_and_a_pattern_stand_for_their_text_files(tmp_path):
    for name in ("b.txt", "a.txt.gz", "c.xz", ".hidden.txt", "table.csv", "README.md"):
        (tmp_path / name).touch()
    assert [source.name for source in find_sources(tmp_path)] == ["a", "b", "c"]
    found = find_sources([tmp_path / "*.txt", str(tmp_path / "*.gz")])
    assert [source.path.name for source in found] == ["b.txt", "a.txt.gz"]


def test_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("zh", "en"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "wiki.txt").touch()
    found = find_sources([tmp_path / "zh", tmp_path / "en"])
    assert [source.name for source in found] == ["zh-wiki", "en-wiki"]
    (tmp_path / "en" / "wiki.txt.xz").touch()
    found = find_sources([tmp_path / "en"])
    assert [source.name for source in found] == ["en-wiki", "en-wiki-2"]


def test_a_table_gives_one_document_a_row_and_nothing_of_dev_and_test(tmp_path):
    rows = {
        "text": ["w0 w1<br /><br />w2", "w3", "w4", "", "w5"],
        "split": ["train", "test", "validation", "train", "train"],
        "other": ["w6", "w7", "w8", "w9", "w10"],
    }
    pa.parquet.write_table(pa.table(rows), tmp_path / "reviews.parquet")
    corpus = prepared(tmp_path / "reviews.parquet", tmp_path / "texts", dev_share=0)
    assert texts_of(corpus) == ["w0 w1\nw2", "w5"]
    corpus = prepared(f"{tmp_path / 'reviews.parquet'}:other", tmp_path / "others", dev_share=0)
    assert texts_of(corpus) == ["w6", "w9", "w10"]
    assert len(corpus.split("dev")) == len(corpus.split("dev").documents) == 0


def test_a_registered_data_set_gives_its_train_texts(tmp_path):
    corpus = prepare_corpus(
        ["sample-zh", "sample-en"], tmp_path / "corpus", tokenizer=ASSETS, progress=False,
        dev_share=0.1, exclude=["sample-zh:dev", "sample-zh:test"],
    )  # fmt: skip
    facts = {source["name"]: source for source in corpus.manifest["sources"]}
    assert [facts[name]["language"] for name in ("sample-zh", "sample-en")] == ["zh", "en"]
    assert corpus.languages == ["zh", "en"]
    kept = len(texts_of(corpus, language="zh"))
    assert 0 < kept == facts["sample-zh"]["documents_read"] - facts["sample-zh"]["documents_short"]
    for name in ("train", "dev"):
        halves = [corpus.split(name, language=language) for language in ("zh", "en")]
        assert min(map(len, halves)) > 0
        assert sum(map(len, halves)) == len(corpus.split(name))
        rows = np.concatenate([half.rows(range(len(half)))[0] for half in halves])
        assert (rows == corpus.split(name).rows(range(len(rows)))[0].numpy()).all()
        assert halves[1].documents[0] == corpus.split(name).documents[len(halves[0].documents)]


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ("nowhere.txt", NotFoundError, "There is no source .*nowhere.txt. Give a text file"),
        ("empty-folder", NotFoundError, "holds no text file"),
        (["a.txt", "*.txt"], SettingsError, "a.txt is named 2 times"),
        ([], SettingsError, "needs at least one source"),
        ("a.txt:text", SettingsError, "plain text, so 'text' cannot be a column"),
        ("sample-en:tset", SettingsError, "no split 'tset'"),
    ],
)
def test_what_is_no_source_is_said(tmp_path, monkeypatch, given, error, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "a.txt").write_text("w1")
    with pytest.raises(error, match=sentence):
        find_sources(given)


def test_the_language_is_told_from_the_text_unless_it_is_named(tmp_path):
    (tmp_path / "chinese.txt").write_text(
        "他说 hello。\n\n今天天气很好，我们去公园散步吧。\n", "utf-8"
    )
    (tmp_path / "english.txt").write_text(
        "He wrote 你好 on the wall, and nobody read it.\n", "utf-8"
    )
    made = prepare_corpus(tmp_path, tmp_path / "a", tokenizer=ASSETS, dev_share=0, progress=False)
    assert [source["language"] for source in made.manifest["sources"]] == ["zh", "en"]
    made = prepare_corpus(tmp_path, tmp_path / "b", tokenizer=ASSETS, dev_share=0, progress=False,
                          languages={"english": "fr"})  # fmt: skip
    assert made.languages == ["zh", "fr"]
    with pytest.raises(SettingsError, match="languages names french"):
        prepare_corpus(tmp_path, tmp_path / "c", tokenizer=ASSETS, languages={"french": "fr"})


# Cleaning, repeats, held-out documents ------------------------------------------------------------


def test_a_share_of_a_source_is_the_same_documents_each_time_and_keeps_what_is_held_out(tmp_path):
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    texts = [f"{a} {b} {c} again and again" for a in words for b in words for c in words]
    (tmp_path / "many.txt").write_text("\n\n".join(texts) + "\n", "utf-8")

    def made(name, **settings):
        corpus = prepare_corpus(tmp_path / "many.txt", tmp_path / name, tokenizer=ASSETS,
                                dev_share=0.1, progress=False, **settings)  # fmt: skip
        return corpus, {s: {tuple(p) for d in corpus.split(s).documents[:] for p in d}
                        for s in ("train", "dev")}  # fmt: skip

    _, everything = made("all")
    corpus, third = made("third", shares={"many": 0.3})
    assert third["dev"] == everything["dev"] and third["train"] < everything["train"]
    kept = len(third["train"]) + len(third["dev"])
    assert stats.binomtest(kept, len(texts), 0.3).pvalue > 1e-6
    assert corpus.manifest["sources"][0]["documents_left_out"] == len(texts) - kept
    for shares, sentence in (
        ({"few": 0.5}, "shares names few"),
        ({"many": 1.5}, "is 1.5; it lies"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            prepare_corpus(tmp_path / "many.txt", tmp_path / "x", tokenizer=ASSETS, shares=shares)


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("  two\u3000 \xa0spaces\t", ["two spaces"]),
        ("a<br /><br>b", ["a", "b"]),
        ("he&amp;she &lt;3 AT&T;", ["he&she <3 AT&T;"]),
        ("ze\u200bro wi\u00addth", ["zero width"]),
        ("bell\x07here", ["bell here"]),
        ("电影《》中（，）饰演", ["电影中饰演"]),
        ("in 2010[ [update]] (, ) it rose", ["in 2010 it rose"]),
        ("call main() here", ["call main() here"]),
        ("祖[[欧斌|斌]]与[[欧廉]]]]", ["祖斌与欧廉"]),
        ("#if: |&rft.au={{urlencode:}}", []),
        ("[[Category:欧姓]]", []),
        ("#1 in the charts", ["#1 in the charts"]),
        ("lost \ufffd here<br />kept", ["kept"]),
        ("（）", []),
        ("   ", []),
    ],
)
def test_cleaning_takes_away_what_nobody_wrote(line, clean):
    assert list(clean_paragraphs(line)) == clean


def test_texts_count_as_the_same_by_their_letters():
    assert letters("It's 5 o'clock — NOW!") == letters("its 5 OClock, now")
    assert letters("很好，真的。") == letters("很好 真的")
    assert letters("a b") + letters("c") == letters("a bc")
    assert letters("5 stars") != letters("4 stars")


def test_a_paragraph_gets_in_once_and_a_repeated_document_not_at_all(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("w1 w2\nw3 w4\n\nW1, w2!\nw3 w4\n\nw5\nw3 w4.\n\n...\n", "utf-8")
    corpus = prepared(text, tmp_path / "once", dev_share=0)
    assert texts_of(corpus) == ["w1 w2\nw3 w4", "w5"]
    (facts,) = corpus.manifest["sources"]
    assert facts["documents_read"] == 4
    assert (facts["documents_repeated"], facts["documents_without_text"]) == (1, 1)
    assert facts["paragraphs_repeated"] == 3
    corpus = prepared(text, tmp_path / "all", dev_share=0, deduplicate=False)
    assert corpus.manifest["splits"]["train"]["paragraphs"] == 6


def test_excluded_texts_are_in_neither_whole_nor_in_paragraphs(tmp_path):
    text, tests = tmp_path / "text.txt", tmp_path / "test.csv"
    text.write_text("w1 w2\nw3 w4\n\nw5 w6\nw7 w8\n\nw9\nw10\n", "utf-8")
    tests.write_text('text,label\n"W1 w2, w3 w4.",1\nw7 - w8,0\n', "utf-8")
    corpus = prepared(text, tmp_path / "corpus", dev_share=0, exclude=tests)
    assert texts_of(corpus) == ["w5 w6", "w9\nw10"]
    (facts,) = corpus.manifest["sources"]
    assert (facts["documents_excluded"], facts["paragraphs_excluded"]) == (1, 1)


def test_short_documents_are_left_out(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("w1 w2\n\nw3\nw4 w5\n\nw6", "utf-8")
    corpus = prepared(text, tmp_path / "corpus", dev_share=0, min_tokens=3)
    assert texts_of(corpus) == ["w3\nw4 w5"]
    assert corpus.manifest["sources"][0]["documents_short"] == 2


def test_the_memory_knows_what_it_met_and_never_claims_more():
    rng, memory, known = random.Random(0), Memory(slots=1 << 10), set()
    for _ in range(900):
        number = rng.choice([hash64(str(rng.randrange(400))), 0])
        assert memory.met(number) == (number in known)
        known.add(number)
    size = memory.table.nbytes
    assert not any(memory.met(hash64(f"new {i}")) for i in range(5000)), "full, but never wrong"
    assert memory.table.nbytes == size


def test_what_is_held_out_depends_on_the_document_alone(words, corpus, tmp_path):
    paragraphs = words.read_text("utf-8").strip().split("\n\n")
    other = tmp_path / "words.txt"
    other.write_text("\n\n".join(reversed(paragraphs[:200])), "utf-8")
    part = prepared(other, tmp_path / "part", seed=7, row_length=32)
    held = {str(document) for document in corpus.split("dev").documents}
    kept = {str(document) for document in corpus.split("train").documents}
    assert {str(document) for document in part.split("dev").documents} < held
    assert {str(document) for document in part.split("train").documents} < kept
    # 300 draws with probability 0.2: 60, four standard deviations are 28.
    assert 32 <= len(held) <= 88


def test_held_out_shares_of_two_sizes_contain_one_another(words, corpus, tmp_path):
    fewer = prepared(words, tmp_path / "fewer", dev_share=0.05)
    held = {str(document) for document in corpus.split("dev").documents}
    assert {str(document) for document in fewer.split("dev").documents} < held


# Bytes, ids, loading ------------------------------------------------------------------------------


def test_the_same_texts_give_the_same_bytes_and_another_seed_another_order(words, corpus, tmp_path):
    again = prepared(words, tmp_path / "again")
    assert contents(again.folder) == contents(corpus.folder)
    other = prepared(words, tmp_path / "other", seed=1)
    differ = [n for n, c in contents(other.folder).items() if c != contents(corpus.folder)[n]]
    assert sorted(differ) == ["dev.rows.bin", "manifest.json", "train.rows.bin"]
    for name in ("train", "dev"):
        words_of = [sorted(chain.from_iterable(all_pieces(c.split(name)))) for c in (corpus, other)]
        assert words_of[0] == words_of[1]


def test_a_special_token_spelt_out_in_a_text_is_text(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a [CLS] b [SEP] c [MASK] d [PAD]", "utf-8")
    corpus = prepare_corpus(text, tmp_path / "c", tokenizer=ASSETS, dev_share=0, progress=False)
    (ids,) = corpus.split("train").paragraphs(0)
    assert not set(ids) & set(corpus.manifest["tokenizer"]["special"].values())
    assert len(all_pieces(corpus.split("train"))) == 1


@pytest.mark.parametrize(("words", "kind"), [(65_531, "<u2"), (65_532, "<u4")])
def test_ids_take_two_bytes_where_the_vocabulary_allows(tmp_path, words, kind):
    text = tmp_path / "text.txt"
    text.write_text(f"w0 w{words - 1}", "utf-8")
    corpus = prepared(text, tmp_path / "c", dev_share=0, tokenizer=words_tokenizer(words))
    assert corpus.manifest["dtype"] == kind
    assert corpus.vocab_size == words + len(SPECIAL_TOKENS)
    assert corpus.split("train").documents[:] == [[[FIRST, FIRST + words - 1]]]
    assert all_pieces(corpus.split("train")) == [[FIRST, FIRST + words - 1]]


def test_any_form_of_a_tokenizer_gives_the_same(words, corpus, tmp_path):
    slow = words_tokenizer(2000)
    slow.save(tmp_path / "folder")
    fast = slow.to_fast()
    fast.enable_truncation(3)
    fast.enable_padding(length=8)
    for i, tokenizer in enumerate((tmp_path / "folder", fast)):
        made = prepared(words, tmp_path / str(i), tokenizer=tokenizer)
        assert made.manifest["splits"] == corpus.manifest["splits"]
    assert fast.truncation is not None, "the caller's tokenizer is left as it was"
    assert isinstance(corpus.tokenizer, WordPieceTokenizer)
    assert corpus.tokenizer.tokens == slow.tokens


def test_rows_are_read_by_number_in_any_order(corpus):
    split = corpus.split("train")
    ids, documents = split.rows(range(len(split)))
    some, numbers = split.rows(np.array([5, 0, 5, -1]))
    assert (some == ids[[5, 0, 5, -1]]).all() and (numbers == documents[[5, 0, 5, -1]]).all()
    assert str(some.dtype) == str(numbers.dtype) == "torch.int64"
    assert some.shape == (4, corpus.row_length)
    assert split.rows([])[0].shape == (0, corpus.row_length)
    for wrong in (len(split), -len(split) - 1):
        with pytest.raises(IndexError):
            split.rows([wrong])
    assert split.paragraphs(3) == split.documents[3] == split.documents[3:4][0]
    with pytest.raises(IndexError):
        split.documents[len(split.documents)]


def test_unknown_splits_and_sources_are_said(corpus):
    with pytest.raises(SettingsError, match="not 'test'"):
        corpus.split("test")
    with pytest.raises(SettingsError, match=r"no source 'wiki'; it has words \(en\)"):
        corpus.split("train", source="wiki")


@pytest.fixture
def copy(corpus, tmp_path) -> Path:
    return Path(shutil.copytree(corpus.folder, tmp_path / "copy"))


def test_a_file_that_is_missing_cut_short_or_changed_is_found(copy):
    rows = copy / "train.rows.bin"
    whole = rows.read_bytes()
    rows.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(DataError, match=r"train.rows.bin has changed since it was written"):
        PackedCorpus.load(copy)
    PackedCorpus.load(copy, verify=False)
    rows.write_bytes(whole[:-2])
    for verify in (True, False):
        with pytest.raises(DataError, match=r"train.rows.bin has [\d,]+ bytes, expected [\d,]+"):
            PackedCorpus.load(copy, verify=verify)
    rows.unlink()
    with pytest.raises(DataError, match=r"train.rows.bin is missing"):
        PackedCorpus.load(copy, verify=False)


def test_a_folder_that_is_no_whole_corpus_is_refused(copy, tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        PackedCorpus.load(tmp_path / "nowhere")
    unfinished = copy.rename(tmp_path / "copy.partial")
    with pytest.raises(DataError, match="unfinished folder"):
        PackedCorpus.load(unfinished)
    copy = unfinished.rename(copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 0}), "utf-8")
    with pytest.raises(DataError, match="another version"):
        PackedCorpus.load(copy)
    for content in ("{", "[]", "{}"):
        (copy / "manifest.json").write_text(content, "utf-8")
        with pytest.raises(DataError, match=r"no manifest.json that can be read"):
            PackedCorpus.load(copy)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"row_length": 7}, "row_length is 7"),
        ({"dev_share": 0.6}, "dev_share is 0.6"),
        ({"min_tokens": 0}, "min_tokens is 0"),
        ({"min_tokens": 10**6}, r"Nothing is left to train on .*: 300 documents read"),
    ],
)
def test_settings_outside_their_range_are_refused(words, tmp_path, change, sentence):
    with pytest.raises(SettingsError, match=sentence):
        prepared(words, tmp_path / "corpus", **change)
    assert list(tmp_path.iterdir()) == []
