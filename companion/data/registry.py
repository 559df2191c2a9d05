"""Where data sets come from: one table (taught in chapters 1, 10 and 11).

It is data only; `companion.data.lookup` finds what it describes. To add a data set, add an
entry; to mend a wrong address, edit one. Models stand in `companion.data.models`.

The files of the `local` layouts were read and hashed for this table. The hub itself could
not be reached when it was written: repository names, revisions, file names and hashes of the
`hub` layouts were taken from public projects that pin them, and the first reader with a
network will know more. A hash that is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TableFile:
    """One file of a data set: the split it holds, its path, its SHA-256 where it is known."""

    split: str
    path: str
    sha256: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a data set is laid out in one place: its files and the columns to read.

    `header` names the columns of files that have no header line.
    """

    files: tuple[TableFile, ...]
    text_column: str = "text"
    label_column: str = "label"
    header: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DatasetEntry:
    """A data set: what it is, under which terms, and every place it may be found in.

    `label_names[i]` names the class that the files write as the number `i` or by that name.
    """

    name: str
    title: str
    language: str
    terms: str
    label_names: tuple[str, ...]
    local: Layout | None = None  # in the folder COMPANION_DATA/name
    hub_id: str | None = None
    revision: str = "main"
    hub: Layout | None = None
    shipped: Layout | None = None  # in the package's folder `sample`
    known_defects: str = "none known"
    citation: str = ""


SENTIMENT = ("negative", "positive")
# In the order of the corpus's own class list.
TOPICS = tuple(
    "finance realty stocks education science society politics sports game entertainment".split()  # noqa: SIM905
)


def _layout(files: dict[str, str], *sha256: str, **columns: Any) -> Layout:
    """A layout from {split: path} and, in the same order, the hashes of the files."""
    hashes = sha256 or (None,) * len(files)
    entries = (TableFile(*file, digest) for file, digest in zip(files.items(), hashes, strict=True))
    return Layout(tuple(entries), **columns)


def _sample(
    name: str, title: str, language: str, names: tuple[str, ...], file: str
) -> DatasetEntry:
    """A table of the package itself; its splits stand in the column `split`."""
    layout = Layout((TableFile("train", file),))
    terms = "written for this project, CC BY 4.0"
    return DatasetEntry(name, title, language, terms, names, shipped=layout)


_DATASETS = (
    DatasetEntry(
        name="chnsenticorp",
        title="ChnSentiCorp: reviews of hotels, books and laptops",
        language="zh",
        terms="none stated by the distributors; for research",
        label_names=SENTIMENT,
        local=_layout(
            {"train": "train.tsv", "dev": "dev.tsv", "test": "test.tsv"},
            "0b2653c23e5c79f539472e90cb10522f0ada4b80d3da95572d8b48fda47d5b33",
            "d129e443eac08ce7643013dad496a8edf282be39cac1a4f2ad080818b296b331",
            "34f9d71eba6096cd8689e18913d28cf9a5f3c18a6c2804cd13304a321738c4bc",
            text_column="text_a",
        ),
        hub_id="lansinuote/ChnSentiCorp",
        revision="b0c4c119c3fb33b8e735969202ef9ad13d717e5a",
        hub=_layout(
            {
                "train": "data/train-00000-of-00001-02f200ca5f2a7868.parquet",
                "dev": "data/validation-00000-of-00001-405befbaa3bcf1a2.parquet",
                "test": "data/test-00000-of-00001-5372924f059fe767.parquet",
            },
        ),
        known_defects=(
            "335 of 1,178 distinct dev texts and 330 of 1,178 distinct test texts are also in "
            "train; 1,351 repeats within train"
        ),
        citation="Tan and Zhang 2008, An Empirical Study of Sentiment Analysis for Chinese",
    ),
    DatasetEntry(
        name="thucnews-titles",
        title="THUCNews titles in ten classes",
        language="zh",
        terms="MIT file beside the titles; the corpus they come from is for research",
        label_names=TOPICS,
        local=_layout(
            {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"},
            "68da9ccdc0863c731ad04fa89435624d80f7d982c1bb2556c68b019f685d9418",
            "6ed73aa2c57ee1560c8f76570d48735c4b1c29ae4983fe3523d56e115813e175",
            "ebecc8c896635ad69730083ca7b81d37c42c9a5779bc05c9d2479d894e34f026",
            header=("text", "label"),
        ),
        known_defects=(
            "train is 94,568 of the original 180,000 titles; about 0.4% of the rows hold U+FFFD; "
            "8 titles in both dev and test"
        ),
        citation="Sun et al. 2016, THUCTC: An Efficient Chinese Text Classifier",
    ),
    DatasetEntry(
        name="sst2",
        title="SST-2: phrases of film reviews (GLUE)",
        language="en",
        terms="none stated; for research",
        label_names=SENTIMENT,
        # The published test file has no labels, so there is no test split.
        local=_layout(
            {"train": "train.tsv", "dev": "dev.tsv"},
            "48eac26399f8456935f81dd9e3a745c1430adb6c62e233ccfe22db4a0d15d1d1",
            "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
            text_column="sentence",
        ),
        hub_id="stanfordnlp/sst2",
        revision="8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
        hub=_layout(
            {
                "train": "data/train-00000-of-00001.parquet",
                "dev": "data/validation-00000-of-00001.parquet",
            },
            "c7921283b75a42e685f50edecb96798607ea0fcbfd0739ee8975f22c12d55f09",
            "fb00fe008f6828f86ba2beda8415a4cf5da0c884f21c5f238c87131b5aa19529",
            text_column="sentence",
        ),
        known_defects="371 repeats in train; no labels for test, so no test split",
        citation="Socher et al. 2013, Recursive Deep Models for Semantic Compositionality",
    ),
    DatasetEntry(
        name="imdb",
        title="IMDB: long film reviews",
        language="en",
        terms="academic use",
        label_names=SENTIMENT,
        # The 50,000 reviews without labels are another file, which is not a split.
        local=_layout(
            {"train": "train.parquet", "test": "test.parquet"},
            "9bdda7e1b837e0749dd92e2c88bcdfee6edb7c991dfe14b2b57ad58225975df9",
            "a057f2bf99361abc973c0dcbfa5650ae6a6d6ee2efd123663332aaa665627c7b",
        ),
        hub_id="stanfordnlp/imdb",
        revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
        hub=_layout(
            {
                "train": "plain_text/train-00000-of-00001.parquet",
                "test": "plain_text/test-00000-of-00001.parquet",
            },
            "db47d16b5c297cc0dd625e519c81319c24c9149e70e8496de5475f6fa928342c",
            "b52e26e2f872d282ffac460bf9770b25ac6f102cda0e6ca7158df98c94e8b3da",
        ),
        known_defects="123 texts in both train and test; `<br />` in 59% of them all; no dev split",
        citation="Maas et al. 2011, Learning Word Vectors for Sentiment Analysis",
    ),
    DatasetEntry(
        name="online-shopping",
        title="Online shopping: product reviews in ten groups",
        language="zh",
        terms="none stated by the distributors; for research",
        label_names=SENTIMENT,
        local=_layout(
            {"train": "online_shopping_10_cats.csv"},
            "f6c5b724122d8547b700ac4524898eb7e28abbee63f798e95a8faa408829afdb",
            text_column="review",
        ),
        known_defects="49 repeats, one empty text; no split of its own: all rows are train",
        citation="SophonPlus, ChineseNlpCorpus",
    ),
    DatasetEntry(
        name="ag-news",
        title="AG News: headlines and first lines in four classes",
        language="en",
        terms="for research and other non-commercial use",
        label_names=("World", "Sports", "Business", "Sci/Tech"),
        local=_layout({"train": "train.parquet", "test": "test.parquet"}),
        hub_id="fancyzhx/ag_news",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
        hub=_layout(
            {
                "train": "data/train-00000-of-00001.parquet",
                "test": "data/test-00000-of-00001.parquet",
            },
            "fc508d6d9868594e3da960a8cfeb63ab5a4746598b93428c224397080c1f52ee",
            "71de87ec66bc5737752a2502204dfa6d7fe9856ade3ea444dc6317789a4f13fb",
        ),
        known_defects="no dev split",
        citation="Zhang et al. 2015, Character-level Convolutional Networks",
    ),
    _sample("sample-zh", "Sample of Chinese reviews", "zh", SENTIMENT, "reviews-zh.csv"),
    _sample("sample-en", "Sample of English reviews", "en", SENTIMENT, "reviews-en.csv"),
    _sample("sample-zh-headlines", "Sample of Chinese headlines", "zh", TOPICS, "headlines-zh.csv"),
    _sample("sample-en-headlines", "Sample of English headlines", "en", TOPICS, "headlines-en.csv"),
)

DATASETS: dict[str, DatasetEntry] = {entry.name: entry for entry in _DATASETS}
