"""The report counts what is there: against plain Python on drawn data, and on real sets."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from companion.data import Report, check_dataset, drop_shared, load_dataset
from companion.data.report import excerpt, share
from companion.errors import SettingsError

Rows = list[tuple[str, int]]


def dataset(names: Any = ("bad", "good"), **splits: Rows) -> DatasetDict:
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
    columns = {
        split: {"text": [t for t, _ in rows], "label": [n for _, n in rows]}
        for split, rows in splits.items()
    }
    return DatasetDict({s: Dataset.from_dict(c, features=features) for s, c in columns.items()})


# Few different texts, so that repeats, contradictions and leaks are frequent.
TEXTS = st.sampled_from(["a", "b", "a  b", "a\nb", "A", "a!", "ａ", "", " ", "c", "!", "?"])
ROWS = st.lists(st.tuples(TEXTS, st.integers(0, 1)), min_size=1, max_size=12)


def same(text: str) -> str:
    return " ".join(text.split())


@settings(deadline=None)
@given(train=ROWS, dev=ROWS, test=ROWS)
def test_counts_agree_with_plain_python(train: Rows, dev: Rows, test: Rows) -> None:
    splits = {"train": train, "dev": dev, "test": test}
    report = check_dataset(dataset(**splits))
    texts = {s: [same(t) for t, _ in rows if t.strip()] for s, rows in splits.items()}
    for split, rows in splits.items():
        stats = report.splits[split]
        assert stats.rows == len(rows)
        assert stats.labels == {
            "bad": sum(n == 0 for _, n in rows),
            "good": sum(n for _, n in rows),
        }
        assert stats.characters["longest"] == max(len(t) for t, _ in rows)
        empty = sum(not t.strip() for t, _ in rows)
        assert [f.count for f in report.of_kind("empty", split)] == [empty] * (empty > 0)
        repeated = len(texts[split]) - len(set(texts[split]))
        assert [f.count for f in report.of_kind("duplicates", split)] == [repeated] * (repeated > 0)
    for first, second in (("train", "dev"), ("train", "test"), ("dev", "test")):
        leaked = [t for t in texts[second] if t in texts[first]]
        found = [f for f in report.of_kind("shared_texts", second) if f"in {first}" in f.message]
        if leaked:
            assert found[0].count == len(leaked)
            assert found[0].details["distinct"] == len(set(leaked))
            assert found[0].details["distinct_of_split"] == len(set(texts[second]))
            assert found[0].details[f"rows_of_{first}"] == sum(
                t in texts[second] for t in texts[first]
            )
        else:
            assert all(f.count == 0 and f.level == "note" for f in found)
    labels = Counter((same(t), n) for rows in splits.values() for t, n in rows if t.strip())
    both = {t for t, n in labels if (t, 1 - n) in labels}
    rows_of_both = sum(count for (t, _), count in labels.items() if t in both)
    assert [f.count for f in report.of_kind("two_labels")] == [rows_of_both] * bool(both)


@settings(deadline=None)
@given(train=ROWS, dev=ROWS, test=ROWS)
def test_nothing_is_shared_once_the_shared_rows_are_dropped(
    train: Rows, dev: Rows, test: Rows
) -> None:
    data = dataset(train=train, dev=dev, test=test)
    seen = {same(t) for t, _ in train if t.strip()}
    scored = drop_shared(data)
    assert scored["train"]["text"][:] == data["train"]["text"][:]
    for split in ("dev", "test"):
        assert scored[split]["text"][:] == [
            t for t in data[split]["text"][:] if same(t) not in seen
        ]
    held_out = {same(t) for t, _ in dev + test if t.strip()}
    trained = drop_shared(data, keep="eval")
    assert trained["train"]["text"][:] == [t for t, _ in train if same(t) not in held_out]
    assert all(trained[split]["text"][:] == data[split]["text"][:] for split in ("dev", "test"))


def test_drop_shared_without_other_splits_and_with_a_wrong_side() -> None:
    data = dataset(train=[("a", 0), ("b", 1)])
    assert drop_shared(data, keep="eval")["train"]["text"][:] == ["a", "b"]
    with pytest.raises(SettingsError, match="keep is 'train' or 'eval', found 'dev'"):
        drop_shared(data, keep="dev")  # type: ignore[arg-type]


def test_texts_that_are_nearly_the_same_are_counted_apart() -> None:
    data = dataset(
        train=[("很好，下次再来！", 1), ("Not good.", 0), ("!!!", 0)],
        test=[("很好,下次再来", 1), ("not GOOD", 0), ("other", 0), ("???", 1)],
    )
    (finding,) = check_dataset(data).of_kind("shared_texts")
    assert (finding.level, finding.count, finding.details["near_distinct"]) == ("note", 0, 2)
    assert "2 more but for case, punctuation or width" in finding.message


def test_a_leak_is_an_error_from_one_row_in_a_hundred_on() -> None:
    train = [(f"text {i}", i % 2) for i in range(300)]
    for leaked, level in ((1, "warning"), (2, "error")):
        test = [*train[:leaked], *((f"other {i}", i % 2) for i in range(200 - leaked))]
        (finding,) = check_dataset(dataset(train=train, test=test)).of_kind("shared_texts")
        assert (finding.level, finding.count) == (level, leaked)


def test_texts_over_the_limit_are_counted_in_tokens() -> None:
    data = dataset(train=[("one two three", 0), ("one", 1), ("one two", 1)])
    report = check_dataset(
        data, count_tokens=lambda texts: [len(text.split()) + 2 for text in texts], max_length=4
    )
    (finding,) = report.of_kind("too_long")
    assert (finding.count, finding.split) == (1, "train")
    assert "more than 4 tokens: 1 of 3 rows" in finding.message
    assert report.splits["train"].tokens is not None
    assert report.splits["train"].tokens["median"] == 4
    assert check_dataset(data).splits["train"].tokens is None


def test_balance_of_classes() -> None:
    rows = [(f"text {i}", 0) for i in range(200)] + [(f"other {i}", 1) for i in range(9)]
    report = check_dataset(dataset(("Good", "good ", "bad"), train=rows, dev=[("x", 0)]))
    assert "'good ' has 9" not in str(report)
    (imbalance,) = report.of_kind("imbalance")
    assert imbalance.count == 9
    assert "Good brings to 95.7%" in imbalance.message
    (few,) = report.of_kind("few_rows")
    assert few.count == 9
    assert [f.level for f in report.of_kind("missing_classes")] == ["warning", "note"]
    assert [f.split for f in report.of_kind("no_split")] == ["test"]


def test_labels_that_look_alike() -> None:
    names = ("Good", "good", "ｇｏｏｄ", "bad", "👍", "👎", "-1", "1")
    data = dataset(names, train=[(f"text {i}", i % 8) for i in range(160)])
    (finding,) = check_dataset(data).of_kind("similar_labels")
    assert "'Good', 'good', 'ｇｏｏｄ'." in finding.message
    assert finding.count == 60


def test_a_clean_data_set_has_nothing_to_report() -> None:
    splits = {
        split: [(f"{split} text {i}", i % 2) for i in range(40)]
        for split in ("train", "dev", "test")
    }
    report = check_dataset(dataset(**splits))
    assert report.findings == []
    assert "Nothing to report." in str(report)


def report_with_markup() -> Report:
    leak = ("[bold]<br /> leak\x1b[31m", 1)
    return check_dataset(dataset(train=[leak, ("b", 0)], test=[leak]), name="<a> & [b]")


def test_report_as_plain_data_goes_through_json() -> None:
    data = report_with_markup().to_dict()
    assert json.loads(json.dumps(data)) == json.loads(json.dumps(data, default=str))
    assert data["splits"]["train"]["rows"] == 2
    assert data["findings"][0]["level"] == "error"


def test_report_in_a_terminal_shows_texts_as_they_are_but_no_control_codes() -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(report_with_markup())
    shown = console.export_text()
    assert "“[bold]<br /> leak\\x1b[31m”" in shown
    assert "<a> & [b]" in shown
    assert "\x1b" not in shown
    assert str(report_with_markup()).startswith("<a> & [b]")


def test_report_in_a_notebook_escapes_what_it_shows() -> None:
    page = report_with_markup()._repr_html_()
    assert "<caption>&lt;a&gt; &amp; [b]</caption>" in page
    assert "<q>[bold]&lt;br /&gt; leak\\x1b[31m</q>" in page
    assert page.count("<tr>") == page.count("</tr>") > 8


def test_excerpts_are_short_and_on_one_line() -> None:
    assert excerpt("short") == "short"
    assert excerpt("x" * 100) == "x" * 40 + "…"
    text = "a" * 50 + "\n\x00" + "b" * 50
    assert excerpt(text, 51) == "…" + "a" * 12 + " \\x00" + "b" * 26 + "…"


def test_shares_are_never_rounded_to_nothing() -> None:
    assert [share(0, 10), share(1, 100_000), share(331, 1200)] == ["0.0%", "<0.1%", "27.6%"]


def test_the_leak_of_chnsenticorp_is_found(real_data: Callable[[str], str]) -> None:
    data = load_dataset(real_data("chnsenticorp"))
    report = check_dataset(data)
    dev, test, test_in_dev = report.of_kind("shared_texts")
    assert (dev.split, dev.level, dev.count) == ("dev", "error", 338)
    assert (dev.details["distinct"], dev.details["distinct_of_split"]) == (335, 1178)
    assert (test.split, test.level, test.count) == ("test", "error", 331)
    assert (test.details["distinct"], test.details["distinct_of_split"]) == (330, 1178)
    assert "330 of 1,178 distinct texts of test (331 of 1,200 rows, 27.6%)" in test.message
    assert (test_in_dev.count, test_in_dev.details["distinct"]) == (40, 39)
    assert report.of_kind("duplicates", "train")[0].count == 1351
    assert report.of_kind("mojibake") == []
    assert {split: len(rows) for split, rows in drop_shared(data).items()} == {
        "train": 9600,
        "dev": 1200 - 338,
        "test": 1200 - 331,
    }


@pytest.mark.parametrize(
    ("name", "defects"),
    [
        ("sst2", [("duplicates", "train", 371)]),
        ("thucnews-titles", [("shared_texts", "test", 8), ("lost_characters", "train", 411)]),
        # `<br />` and other markup in 59% of 50,000 texts.
        (
            "imdb",
            [("shared_texts", "test", 123), ("html", "train", 14_667), ("html", "test", 14_534)],
        ),
    ],
)
@pytest.mark.slow
def test_known_defects_of_real_sets_are_found(
    name: str, defects: list[tuple[str, str, int]], real_data: Callable[[str], str]
) -> None:
    report = check_dataset(load_dataset(real_data(name)))
    for kind, split, count in defects:
        assert count in [finding.count for finding in report.of_kind(kind, split)]
