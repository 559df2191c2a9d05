"""Wrongly decoded text is told from text in many languages."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from companion.data.suspicious import mojibake_at, suspicions

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=8, max_size=60)


@given(text=HAN)
def test_chinese_read_as_windows_1252_is_found(text: str) -> None:
    wrong = text.encode().decode("cp1252", errors="replace")
    assume("\ufffd" not in wrong)
    assert mojibake_at(wrong) >= 0


@given(text=HAN)
def test_chinese_read_as_latin_1_is_found(text: str) -> None:
    assert "control_characters" in {
        f.kind for f in suspicions("train", [text.encode().decode("latin-1")])
    } or (mojibake_at(text.encode().decode("latin-1")) >= 0)


@given(text=HAN)
def test_chinese_read_as_gbk_is_found(text: str) -> None:
    try:
        wrong = text.encode().decode("gb18030")
    except UnicodeDecodeError:
        assume(False)
    assert mojibake_at(wrong) == 0


@pytest.mark.parametrize("text", ["It’s a café – fine", "naïve façade", "50 € · 20 °C"])
def test_english_read_as_windows_1252_is_found(text: str) -> None:
    assert mojibake_at(text.encode().decode("cp1252")) >= 0


@pytest.mark.parametrize(
    "text",
    [
        "这家酒店的位置不错，服务也很好。",
        "联通",
        "一一一一一一一一",
        "臺灣的飯店很乾淨，早餐也豐盛",
        "「すごく良かったです」",
        "It’s a café – “fine” … naïve, façade, piñata, Ærøskøbing, Łódź",
        "»Größe« über Straße",
        "À l’été, où ça ?",
        "ÁRVÍZTŰRŐ TÜKÖRFÚRÓGÉP",
        "£20 ±5 µm 30°C ½ §3",
        "Очень хорошо!",
        "👍👍 very good 😊",
        "plain",
        "",
    ],
)
def test_sound_text_is_left_alone(text: str) -> None:
    assert mojibake_at(text) == -1


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("  \n ", {"empty"}),
        ("徐若\ufffd隔空", {"lost_characters"}),
        ("锟斤拷锟斤拷", {"lost_characters"}),
        ("a\x07b", {"control_characters"}),
        ("a\x96b", {"control_characters"}),
        ("\ufeff好书", {"invisible_characters"}),
        ("good<br />book", {"html"}),
        ("彼得&#183;林奇", {"html"}),
        ('<a href="x">y</a>', {"html"}),
        ("推荐<红楼>，a < b > c, <荐书> & Co;", set()),
        ("two\nlines\tand a tab", set()),
    ],
)
def test_each_kind_of_suspicious_text(text: str, kinds: set[str]) -> None:
    findings = suspicions("train", ["fine", text, text])
    assert {finding.kind for finding in findings} == kinds
    assert all(finding.count == 2 for finding in findings)
    assert all("2 of 3 rows of train (66.7%)" in finding.message for finding in findings)
