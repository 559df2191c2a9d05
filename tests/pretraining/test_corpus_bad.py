"""Broken files, a full disk, a kill at any moment: a sentence, and what was whole stays whole."""

import gzip
import lzma
import multiprocessing as mp
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion.data import DataWarning
from companion.errors import CheckpointError, DataError, NotFoundError, SettingsError
from companion.pretraining import PackedCorpus, reading
from tests.pretraining.texts import contents, number_words, prepare_and_die, prepared
from tests.pretraining.texts import write_documents as write


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """500 documents of one paragraph of three words."""
    folder = tmp_path_factory.mktemp("text")
    return write(folder / "words.txt", number_words([[3]] * 500))


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory) -> PackedCorpus:
    return prepared(text, tmp_path_factory.mktemp("whole") / "corpus")


def refused(folder: Path, text: Path, sentence: str) -> None:
    """Preparing ends in this sentence, leaves nothing, and an earlier corpus as it was."""
    good = write(folder / "good.txt", number_words([[4]] * 30))
    earlier = prepared(good, folder / "earlier")
    before = contents(earlier.folder)
    with pytest.raises(DataError, match=sentence):
        prepared([good, text], folder / "corpus")
    assert {path.name for path in folder.iterdir()} == {"good.txt", "earlier", text.name}
    assert contents(earlier.folder) == before
    PackedCorpus.load(earlier.folder)


def damage(content: bytes) -> bytes:
    """The same with some bytes in the middle changed."""
    middle = len(content) // 2
    return (
        content[:middle] + bytes(b ^ 0x55 for b in content[middle:][:40]) + content[middle + 40 :]
    )


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("harm", [damage, lambda content: content[: len(content) // 2]])
def test_a_damaged_or_cut_block(text, tmp_path, suffix, pack, harm):
    bad = tmp_path / f"bad.txt{suffix}"
    bad.write_bytes(harm(pack(text.read_bytes())))
    refused(
        tmp_path, bad, rf"bad.txt{suffix} is damaged or incomplete after line \d+ \(.+\). Fetch"
    )


def test_a_file_that_is_not_what_its_name_says(text, tmp_path):
    for suffix in (".gz", ".xz"):
        bad = tmp_path / f"bad.txt{suffix}"
        bad.write_bytes(text.read_bytes())
        with pytest.raises(DataError, match=r"is damaged or incomplete after line 0"):
            prepared(bad, tmp_path / "corpus")


def test_a_line_of_ten_megabytes(tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"w1 w2\n\n" + b"w3 w4 " * 1_700_000 + b"\nw5\n")
    refused(tmp_path, bad, r"bad.txt, line 3 is longer than 1,048,576 bytes. .* break this line")


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".xz", lzma.compress)])
def test_a_byte_that_is_not_utf_8_in_a_sound_file(tmp_path, suffix, pack):
    lines = ["今天天气很好，我们去公园散步吧。".encode()] * 50
    lines[20] = lines[20][:9] + b"\xff" + lines[20][9:]
    bad = tmp_path / f"bad.txt{suffix}"
    bad.write_bytes(pack(b"\n".join(lines)))
    refused(tmp_path, bad, r"line 21, byte 10: the byte 0xff is not UTF-8. .* mend this line")


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress)])
def test_a_file_in_another_encoding(tmp_path, suffix, pack):
    words = "今天天气很好，我们去公园散步吧。明天可能会下雨，记得带伞出门。\n" * 30
    bad = tmp_path / f"bad.txt{suffix}"
    bad.write_bytes(pack(words.encode("gb18030")))
    refused(tmp_path, bad, r"line 1, byte 1.*seems to be GB18030: save it as UTF-8")


def test_a_file_in_utf_16(tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes("w1 w2\n".encode("utf-16-le") * 50)
    refused(tmp_path, bad, r"line 1: found a NUL character. The file seems to be UTF-16-LE")


@pytest.mark.parametrize("content", [b"", b"\n \n\n"])
def test_an_empty_file(tmp_path, content):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(content)
    refused(tmp_path, bad, r"bad.txt holds no text. Remove it")


def test_a_table_that_is_damaged_or_lacks_the_column(tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 but not for long")
    refused(tmp_path, bad, r"bad.parquet is not a sound Parquet file")
    bad.unlink()
    shutil.rmtree(tmp_path / "earlier")
    bad = tmp_path / "bad.csv"
    bad.write_text("review,label\nw1,0\n", "utf-8")
    refused(tmp_path, bad, r"bad.csv has no column 'text'; its columns are: review, label")


def test_a_text_without_blank_lines_is_cut_with_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_DOCUMENT", 1000)
    endless = write(tmp_path / "endless.txt", number_words([[1] * 900]))
    with pytest.warns(DataWarning, match=r"holds more than 1,000 characters without a blank line"):
        corpus = prepared(endless, tmp_path / "corpus", dev_share=0)
    documents = corpus.split("train").documents
    assert len(documents) == 4, "3,490 characters"
    assert sum(map(len, documents)) == 900


def test_a_folder_that_holds_something_is_not_written_over(text, whole):
    before = contents(whole.folder)
    with pytest.raises(SettingsError, match=r"is there already. Load it with PackedCorpus.load"):
        prepared(text, whole.folder)
    assert contents(whole.folder) == before


def test_an_interruption_leaves_nothing(text, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.pretraining.writing.SplitWriter.place", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepared(text, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


# A kill -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forkserver():
    if "forkserver" not in mp.get_all_start_methods():
        pytest.skip("needs POSIX processes")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["tests.pretraining.texts"])
    return context


# The tokenizer, eight files and the manifest are flushed, then the folder that holds the corpus.
# There are three writes a document; the last ones are the rows and the manifest.
@pytest.mark.parametrize(
    ("at", "number"),
    [("flush", n) for n in (1, 2, 6, 9, 10)] + [("write", n) for n in (1, 2, 700, 1502, 1504)],
)
def test_after_a_kill_nothing_loads_and_the_next_attempt_is_as_if_it_was_the_first(
    forkserver, text, whole, tmp_path, at, number
):
    out = tmp_path / "corpus"
    process = forkserver.Process(target=prepare_and_die, args=(text, out, at, number))
    process.start()
    process.join(120)
    assert process.exitcode == -9
    with pytest.raises(NotFoundError):
        PackedCorpus.load(out)
    for left in tmp_path.iterdir():
        with pytest.raises(DataError):
            PackedCorpus.load(left)
    assert contents(prepared(text, out).folder) == contents(whole.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_kill_after_the_renaming_leaves_the_whole_corpus(forkserver, text, whole, tmp_path):
    out = tmp_path / "corpus"
    process = forkserver.Process(target=prepare_and_die, args=(text, out, "flush", 11))
    process.start()
    process.join(120)
    assert process.exitcode == -9
    PackedCorpus.load(out)
    assert contents(out) == contents(whole.folder)


# A full disk --------------------------------------------------------------------------------------


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs user namespaces to make a small disk",
)
def test_a_full_disk_is_a_sentence_and_keeps_what_was_whole(tmp_path):
    code = """
import os
import sys
from pathlib import Path
from companion.pretraining import PackedCorpus
from tests.pretraining.texts import number_words, prepared, write_documents
disk = Path(sys.argv[1])
prepared(write_documents(disk / "small.txt", number_words([[3]] * 20)), disk / "small")
large = write_documents(disk / "large.txt", number_words([[1]] * 1900))
free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
(disk / "filler").write_bytes(bytes(free - (int(sys.argv[2]) << 10)))
try:
    prepared(large, disk / "large")
except Exception as error:
    print("SENTENCE", type(error).__name__, error)
print("LEFT", sorted(p.name for p in disk.iterdir()))
PackedCorpus.load(disk / "small")
"""
    mount = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"'
    for free in (8, 60):  # kibibytes; the disk is full at once, or towards the end
        command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", code]
        done = subprocess.run(
            [*command, str(tmp_path), str(free)], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert f"SENTENCE {CheckpointError.__name__} The corpus {tmp_path / 'large'}" in said
        assert "could not be written: the disk is full. Nothing is left of it; free some" in said
        assert "Exception ignored" not in said
        assert "LEFT ['filler', 'large.txt', 'small', 'small.txt']" in said
