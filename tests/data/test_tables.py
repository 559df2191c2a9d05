"""What is written as a table comes back as it was: texts, labels, splits."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, DatasetDict, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.data import load_dataset
from companion.data.rows import NUMBER

Rows = list[tuple[str, str]]

# Any text a UTF-8 file can hold, but for NUL and for what counts as empty.
TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
).filter(str.strip)
SPECIAL = st.text(st.sampled_from(list("\"',;\t\r\n\\ a好😀\u2028\x85\ufeff")), min_size=1).filter(
    str.strip
)
ROWS = st.lists(
    st.tuples(TEXT | SPECIAL, st.sampled_from(["good", "bad", "好评"])), min_size=2
).filter(
    lambda rows: (
        len({label for _, label in rows}) > 1
        and not all(NUMBER.fullmatch(text) for text, _ in rows)
    )
)
round_trip = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
    deadline=None,
)


def write_csv(path: Path, rows: Rows, **options: object) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, **options).writerows([("text", "label"), *rows])  # type: ignore[arg-type]


def write_jsonl(path: Path, rows: Rows, *, ascii_only: bool) -> None:
    lines = (json.dumps({"text": t, "label": n}, ensure_ascii=ascii_only) for t, n in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def rows_of(data: DatasetDict, split: str = "train") -> Rows:
    names = data[split].features["label"].names
    return [(row["text"], names[row["label"]]) for row in data[split]]


@round_trip
@given(rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_csv_round_trip(rows: Rows, quoting: int, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", rows, quoting=quoting)
    assert rows_of(load_dataset(tmp_path / "a.csv")) == rows


@round_trip
@given(rows=ROWS)
def test_csv_of_pandas_round_trip(rows: Rows, tmp_path: Path) -> None:
    # pandas does not quote a text for a lone carriage return, so such a file cannot be read back.
    rows = [(text.replace("\r", " ") + "x", label) for text, label in rows]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert rows_of(load_dataset(tmp_path / "a.csv")) == rows


@round_trip
@given(rows=ROWS, ascii_only=st.booleans())
def test_jsonl_round_trip(rows: Rows, ascii_only: bool, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", rows, ascii_only=ascii_only)
    assert rows_of(load_dataset(tmp_path / "a.jsonl")) == rows


@round_trip
@given(rows=ROWS)
def test_parquet_round_trip(rows: Rows, tmp_path: Path) -> None:
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "a.parquet")
    assert rows_of(load_dataset(tmp_path / "a.parquet")) == rows


@round_trip
@given(rows=ROWS)
def test_tsv_without_quoting_round_trip(rows: Rows, tmp_path: Path) -> None:
    bare = [
        ("".join(" " if c in "\t\r\n" else c for c in text) + "x", label) for text, label in rows
    ]
    content = "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *bare])
    (tmp_path / "a.tsv").write_bytes(content.encode())
    # A first text that begins with U+FEFF stands after the header, so nothing is taken off.
    assert rows_of(load_dataset(tmp_path / "a.tsv")) == bare


@round_trip
@given(rows=ROWS)
def test_tsv_with_all_fields_quoted_round_trip(rows: Rows, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.tsv", rows, delimiter="\t", quoting=csv.QUOTE_ALL)
    assert rows_of(load_dataset(tmp_path / "a.tsv")) == rows


def test_tsv_of_pandas_that_needs_quotes_is_read_with_them(tmp_path: Path) -> None:
    rows = [('He said "fine"', "good"), ("a\ttab", "bad"), ("two\nlines", "bad"), ("plain", "good")]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert rows_of(load_dataset(tmp_path / "a.tsv")) == rows


@pytest.mark.parametrize(
    "rows",
    [
        [('" spider-man " is better', "good"), ('"quoted"', "bad"), ('a "b', "good")],
        [('"A title in quotes"', "good"), ("one without", "bad")],
    ],
)
def test_tsv_with_bare_quotes_keeps_them(rows: Rows, tmp_path: Path) -> None:
    content = "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows])
    (tmp_path / "a.tsv").write_text(content)
    assert rows_of(load_dataset(tmp_path / "a.tsv")) == rows


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (["10", "9", "2", "9"], ["2", "9", "10"]),
        (["-1", "0.5", "0"], ["-1", "0", "0.5"]),
        ([10, 9, 2], ["2", "9", "10"]),
        ([1.0, 0.0], ["0", "1"]),
        ([True, False, True], ["False", "True"]),
        (["差评", "好评"], ["好评", "差评"]),
        (["b", "a", "10"], ["10", "a", "b"]),
        ([" good", "good ", "bad"], ["bad", "good"]),
    ],
)
def test_labels_of_every_kind_become_sorted_names(
    written: list[object], names: list[str], tmp_path: Path
) -> None:
    lines = (json.dumps({"text": f"text {i}", "label": n}) for i, n in enumerate(written))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert load_dataset(tmp_path / "a.jsonl")["train"].features["label"].names == names
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(len(written))], "label": written})
    frame.to_parquet(tmp_path / "a.parquet")
    assert load_dataset(tmp_path / "a.parquet")["train"].features["label"].names == names


def test_columns_and_their_types_are_exactly_text_and_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,label,more\n1,a,x,0\n2,b,y,0\n")
    features = load_dataset(tmp_path / "a.csv")["train"].features
    assert list(features) == ["text", "label"]
    assert features["text"] == Value("string")
    assert features["label"] == ClassLabel(names=["x", "y"])


def test_split_column_with_its_aliases_in_a_fixed_order(tmp_path: Path) -> None:
    parts = ["test", "Validation", "TRAIN", "val", " dev ", "train", "valid"]
    rows = "".join(f"text {i},{'xy'[i % 2]},{part}\n" for i, part in enumerate(parts))
    (tmp_path / "a.csv").write_text(f"text,label,split\n{rows}")
    data = load_dataset(tmp_path / "a.csv")
    assert {split: data[split]["text"][:] for split in data} == {
        "train": ["text 2", "text 5"],
        "dev": ["text 1", "text 3", "text 4", "text 6"],
        "test": ["text 0"],
    }
    assert list(data) == ["train", "dev", "test"]


def test_columns_by_option(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,stars,part\na,5,train\nb,1,train\nc,1,test\n")
    data = load_dataset(
        tmp_path / "a.csv", text_column="review", label_column="stars", split_column="part"
    )
    assert rows_of(data) == [("a", "5"), ("b", "1")]
    assert rows_of(data, "test") == [("c", "1")]


def test_folder_with_a_file_for_each_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [("a", "x"), ("b", "y")])
    write_jsonl(tmp_path / "Validation.jsonl", [("c", "y")], ascii_only=True)
    (tmp_path / "test.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\nd\tx\n"))
    (tmp_path / "notes.md").write_text("not a table")
    data = load_dataset(tmp_path)
    assert {split: rows_of(data, split) for split in data} == {
        "train": [("a", "x"), ("b", "y")],
        "dev": [("c", "y")],
        "test": [("d", "x")],
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "big5"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_encoding_by_option_and_gzip(
    encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / ("a.csv" if pack is bytes else "a.csv.gz")
    path.write_bytes(pack("text,label\n很好,好\n不行,差\n".encode(encoding)))
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    assert rows_of(load_dataset(path, encoding=name)) == [("很好", "好"), ("不行", "差")]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_csv_of_a_spreadsheet_with_another_separator(mark: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [("a, b", "x"), (f"c{mark}d", "y")], delimiter=mark)
    assert rows_of(load_dataset(tmp_path / "a.csv")) == [("a, b", "x"), (f"c{mark}d", "y")]


def test_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    for name, cut in (("a.csv", ","), ("a.tsv", "\t")):
        lines = ["text,label", "a,x", "", "b,y", ""]
        (tmp_path / name).write_bytes("\r\n".join(lines).replace(",", cut).encode())
        assert rows_of(load_dataset(tmp_path / name)) == [("a", "x"), ("b", "y")]


def test_parquet_of_the_datasets_library_keeps_its_class_names(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [("a", "x"), ("b", "y")])
    data = load_dataset(tmp_path / "a.csv")
    data["train"].to_parquet(tmp_path / "b.parquet")
    assert rows_of(load_dataset(tmp_path / "b.parquet")) == [("a", "x"), ("b", "y")]


def test_same_content_has_the_same_fingerprint_and_other_content_another(tmp_path: Path) -> None:
    def fingerprint(rows: Rows) -> str:
        write_csv(tmp_path / "a.csv", rows)
        return str(load_dataset(tmp_path / "a.csv")["train"]._fingerprint)

    rows = [("a", "x"), ("b", "y")]
    assert fingerprint(rows) == fingerprint(rows)
    others = [[("a", "y"), ("b", "x")], [("a", "x"), ("c", "y")], [("a", "x"), ("b", "z")]]
    assert len({fingerprint(rows), *map(fingerprint, others)}) == 4


def test_more_rows_than_a_chunk_stay_in_order(tmp_path: Path) -> None:
    rows = [(f"text {i}", "xyz"[i % 3]) for i in range(25_001)]
    write_csv(tmp_path / "a.csv", rows)
    assert rows_of(load_dataset(tmp_path / "a.csv")) == rows
