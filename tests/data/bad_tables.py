"""Tables that cannot be used, and what the sentence about each must say.

Every file is written as `name` with the bytes `content` and loaded with `options` (keywords
of `load_dataset`); the error must hold all of `says`. The place of the file is not in `says`:
a test adds it.
"""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GOOD = "text,label\nfine,good\npoor,bad\nlovely,good\n"
CHINESE = "text,label\n房间很干净,好评\n服务态度太差了,差评\n位置方便，下次还来,好评\n"


@dataclass(frozen=True)
class BadTable:
    """A file, how it is loaded, and what must be said."""

    case: str
    name: str
    content: bytes
    says: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


def _parquet(**columns: pa.Array) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


TEXTS = pa.array(["fine", "poor", "lovely"])
LABELS = pa.array(["good", "bad", "good"])
SOUND_PARQUET = _parquet(text=TEXTS, label=LABELS)

BAD_TABLES = [
    BadTable(
        "missing text column",
        "a.csv",
        b"review,label\nfine,good\npoor,bad\n",
        ("no column 'text'", "review, label", "--text-column review"),
    ),
    BadTable(
        "missing label column",
        "a.csv",
        b"text,labels\nfine,good\npoor,bad\n",
        ("no column 'label'", "--label-column labels"),
    ),
    BadTable(
        "missing label column of a TSV",
        "a.tsv",
        b"text\tSentiment\nfine\tgood\npoor\tbad\n",
        ("no column 'label'", "--label-column Sentiment"),
    ),
    BadTable(
        "missing column of JSONL",
        "a.jsonl",
        b'{"texts": "fine", "label": "good"}\n{"texts": "poor", "label": "bad"}\n',
        ("no column 'text'", "--text-column texts"),
    ),
    BadTable(
        "missing column of Parquet",
        "a.parquet",
        _parquet(content=TEXTS, label=LABELS),
        ("no column 'text'", "--text-column content"),
    ),
    BadTable(
        "missing split column that was asked for",
        "a.csv",
        GOOD.encode(),
        ("no column 'part'", "--split-column"),
        {"split_column": "part"},
    ),
    BadTable(
        "no header",
        "a.csv",
        b"fine,good\npoor,bad\n",
        ("no column 'text'", "its columns are: fine, good", "header line"),
    ),
    BadTable(
        "column named twice",
        "a.csv",
        b"text,label,text\nfine,good,x\npoor,bad,y\n",
        ("'text' occurs 2 times",),
    ),
    BadTable("empty file", "a.csv", b"", ("is empty",)),
    BadTable("blank lines only", "a.csv", b"\n\n\n", ("is empty",)),
    BadTable("header only", "a.csv", b"text,label\n", ("no rows",)),
    BadTable("header only of a TSV", "a.tsv", b"text\tlabel\n", ("no rows",)),
    BadTable(
        "no rows in Parquet",
        "a.parquet",
        _parquet(text=pa.array([], pa.string()), label=pa.array([], pa.string())),
        ("no rows",),
    ),
    BadTable("no lines of JSONL", "a.jsonl", b"\n", ("no rows",)),
    BadTable(
        "nothing but empty texts",
        "a.csv",
        b"text,label\n,good\n  ,bad\n",
        ("no rows with text", "all 2 are empty"),
    ),
    BadTable(
        "one class",
        "a.csv",
        b"text,label\nfine,good\nlovely,good\n",
        ("every row of train has the label 'good'", "two classes"),
    ),
    BadTable(
        "label of dev that train lacks",
        "a.csv",
        b"text,label,split\nfine,good,train\npoor,bad,train\nso-so,neutral,validation\n",
        ("line 4", "'neutral' of dev does not occur in train", "'bad', 'good'"),
    ),
    BadTable(
        "missing label",
        "a.csv",
        b"text,label\nfine,good\npoor,\nlovely,good\n",
        ("line 3", "'label' holds no label"),
    ),
    BadTable(
        "null as label in JSONL",
        "a.jsonl",
        b'{"text": "fine", "label": 1}\n{"text": "poor", "label": null}\n',
        ("line 2", "'label' holds no label"),
    ),
    BadTable(
        "null as label in Parquet",
        "a.parquet",
        _parquet(text=TEXTS, label=pa.array([1, None, 0])),
        ("row 2", "'label' holds no label"),
    ),
    BadTable(
        "list as label",
        "a.jsonl",
        b'{"text": "fine", "label": ["a", "b"]}\n',
        ("line 1", "the label is", "expected a text, a number"),
    ),
    BadTable(
        "texts in the place of labels",
        "a.csv",
        b"text,label\n" + b"".join(b"good,review number %d\n" % n for n in range(60)),
        ("60 different values in 60 rows", "--label-column"),
    ),
    BadTable(
        "GBK",
        "a.csv",
        CHINESE.encode("gbk"),
        ("line 2, byte 1", "is not UTF-8", "GB18030", "--encoding gb18030"),
    ),
    BadTable(
        "GBK in JSONL",
        "a.jsonl",
        '{"text": "房间很干净，住得很舒服", "label": "好评"}\n'.encode("gbk"),
        ("line 1, byte 11", "--encoding gb18030"),
    ),
    BadTable(
        "Big5",
        "a.csv",
        "text,label\n服務態度很好，下次還會再來,好\n房間太小了，隔音也不好,差\n".encode("big5"),
        ("line 2", "--encoding big5"),
    ),
    BadTable(
        "Windows-1252",
        "a.csv",
        "text,label\nThe café was “fine” – really,good\nIt’s not,bad\n".encode("cp1252"),
        ("line 2, byte 8", "0xe9", "--encoding cp1252"),
    ),
    BadTable("UTF-16 with mark", "a.csv", CHINESE.encode("utf-16"), ("--encoding utf-16",)),
    BadTable(
        "UTF-16 without mark",
        "a.csv",
        GOOD.encode("utf-16-le"),
        ("line 1", "NUL", "--encoding utf-16-le"),
    ),
    BadTable(
        "UTF-8 read as GB18030",
        "a.csv",
        CHINESE.encode() + "价格便宜,好评\n".encode(),
        ("is not GB18030", "--encoding utf-8"),
        {"encoding": "gb18030"},
    ),
    BadTable(
        "one bad byte in UTF-8",
        "a.csv",
        CHINESE.encode() * 30 + b"broken \xff here,x\n",
        ("line 121, byte 8", "0xff is not UTF-8", "mend this line"),
    ),
    BadTable("NUL byte", "a.csv", b"text,label\nfi\x00ne,good\npoor,bad\n", ("line 2", "NUL")),
    BadTable("NUL byte in JSONL", "a.jsonl", b'{"text": "fi\x00ne", "label": 1}\n', ("NUL",)),
    BadTable(
        "comma in a text without quotes",
        "a.csv",
        b"text,label\nfine,good\npoor, really,bad\n",
        ("line 3", "3 columns, expected 2 (text, label)", "between double quotes"),
    ),
    BadTable(
        "short row after a text of several lines",
        "a.csv",
        b'text,label\n"a text\nof three\nlines",good\nfine\n',
        ("line 5", "found 1 column, expected 2", "column is missing"),
    ),
    BadTable(
        "tab in a text",
        "a.tsv",
        b"text\tlabel\nfine\tgood\npoor\treally\tbad\n",
        ("line 3", "3 columns, expected 2", "must not hold a tab"),
    ),
    BadTable(
        "unclosed quote",
        "a.csv",
        b'text,label\nfine,good\n"poor,bad\nlovely,good\n',
        ("line 3", "double quote", "not closed"),
    ),
    BadTable(
        "quote within quotes",
        "a.csv",
        b'text,label\nfine,good\n"a "poor" one",bad\n',
        ("line 3", "double quote", "twice"),
    ),
    BadTable(
        "numbers in the place of texts",
        "a.csv",
        b"text,label\n1,good\n2.5,bad\n-3,good\n",
        ("nothing but numbers", "--text-column"),
    ),
    BadTable(
        "number as text in JSONL",
        "a.jsonl",
        b'{"text": 12, "label": "good"}\n',
        ("line 1", "'text' holds 12", "expected a text"),
    ),
    BadTable(
        "numbers as texts in Parquet",
        "a.parquet",
        _parquet(text=pa.array([1, 2, 3]), label=LABELS),
        ("'text' holds int64", "expected text", "--text-column"),
    ),
    BadTable(
        "bad JSON",
        "a.jsonl",
        b'{"text": "fine", "label": 1}\n{"text": "poor", "label": 0\n',
        ("line 2", "not JSON", "at character 28", "one object a line"),
    ),
    BadTable(
        "one JSON array",
        "a.jsonl",
        b'[{"text": "fine", "label": 1}]\n',
        ("line 1", "found a JSON list", "one object a line"),
    ),
    BadTable(
        "half a character in JSON",
        "a.jsonl",
        b'{"text": "fine", "label": 1}\n{"text": "half \\ud83d", "label": 0}\n',
        ("line 2", "lone surrogate"),
    ),
    BadTable("truncated Parquet", "a.parquet", SOUND_PARQUET[:-100], ("not a sound Parquet file",)),
    BadTable(
        "damaged Parquet",
        "a.parquet",
        SOUND_PARQUET[:4] + bytes(60) + SOUND_PARQUET[64:],
        ("not a sound Parquet file",),
    ),
    BadTable("text called Parquet", "a.parquet", GOOD.encode(), ("not a sound Parquet file",)),
    BadTable(
        "truncated gzip",
        "a.csv.gz",
        gzip.compress(GOOD.encode() * 100)[:-20],
        ("damaged or incomplete .gz file",),
    ),
    BadTable(
        "damaged gzip",
        "a.csv.gz",
        gzip.compress(GOOD.encode())[:10] + bytes([255] * 60),
        ("damaged or incomplete .gz file",),
    ),
    BadTable("text called gzip", "a.csv.gz", GOOD.encode(), ("damaged or incomplete .gz file",)),
    BadTable("spreadsheet", "a.xlsx", b"PK\x03\x04", ("not a table", "CSV UTF-8")),
    BadTable("picture", "a.png", b"\x89PNG", ("not a table", ".jsonl")),
    BadTable(
        "unknown split",
        "a.csv",
        b"text,label,split\nfine,good,train\npoor,bad,holdout\n",
        ("line 3", "'holdout' is no split", "train, dev"),
    ),
    BadTable(
        "split left empty",
        "a.csv",
        b"text,label,split\nfine,good,train\npoor,bad,\nlovely,good,test\n",
        ("line 3", "'split' is empty here"),
    ),
    BadTable(
        "no train rows",
        "a.csv",
        b"text,label,split\nfine,good,test\npoor,bad,test\n",
        ("rows for test but none for train",),
    ),
]
