"""What no file of the project may hold: traces of one machine, unfinished places, sheer weight."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.repository.files import ROOT, project_files, text_files

# The tests of what must not appear hold examples of it.
EXEMPT = {"tests/repository/test_text.py", "tests/chapters/test_outputs.py"}
FORBIDDEN = {
    "a path of one machine": re.compile(
        r"(?<![\w.~-])/(work|root|tmp|workspace)/\w|(?<![\w.~-])/(home|Users)/[\w-]+/"
    ),
    "the host of a package registry": re.compile(
        r"\bpypi\.org|pythonhosted\.org|registry\.npm|npmmirror|download\.pytorch\.org"
        r"|mirrors?\.(tuna|aliyun|cloud|ustc|huawei)"
    ),
    "an unfinished place": re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|@@\w+@@"),
}
# The bytes of a picture inside a notebook spell any word in time.
PICTURE = re.compile(r'"image/png": "[^"]*"|base64,[A-Za-z0-9+/=]+')
# `**重要：**权重` is not bold in Markdown: the closing asterisks follow punctuation.
BOLD_PUNCTUATION = re.compile(r"\*\*[^*\n]*[，。：；！？、）》”]\*\*(?=[\w\u4e00-\u9fff])")
LARGEST = 1_000_000
LARGE_ON_PURPOSE = {"companion/assets/model.safetensors"}  # the pretrained model
LARGEST_TOTAL = 40 * 1024**2
LONGEST_MODULE = 300


def prose(name: str, text: str) -> str:
    """The Markdown of a page or of a notebook."""
    if name.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return text


def findings(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(PICTURE.sub("", text).splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            found = pattern.search(line)
            if found:
                yield f"{name}:{number} holds {what}: {found.group()}"
    if name.endswith((".md", ".ipynb")):
        for found in BOLD_PUNCTUATION.findall(prose(name, text)):
            yield f"{name} has bold text that will not show; put its last sign outside: {found}"
    if "\r\n" in text:
        yield f"{name} has Windows line ends"
    if text and not text.endswith("\n"):
        yield f"{name} does not end with a line end"


def test_no_file_holds_a_trace_of_one_machine_or_an_unfinished_place():
    found = [
        finding
        for name, text in text_files().items()
        if name not in EXEMPT
        for finding in findings(name, text)
    ]
    assert found == [], "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("a.py", "open('/root/x')\n", "a.py:1 holds a path of one machine: /root/x"),
        ("a.py", "\npath = '/home/ann/x'\n", "a.py:2 holds a path"),
        ("a.md", "pip install -i https://pypi.org\n", "the host of a package registry"),
        ("a.json", '"https://registry.npmjs.org/d3"\n', "the host of a package registry"),
        ("a.py", "# TODO: more\n", "an unfinished place"),
        ("a.md", "@@RESULT@@\n", "an unfinished place"),
        ("a.py", "raise NotImplementedError\n", "an unfinished place"),
        ("a.md", "**重要：**权重\n", "bold text that will not show"),
        ("a.py", "a\r\nb\r\n", "Windows line ends"),
        ("a.py", "a", "does not end with a line end"),
    ],
)
def test_each_of_these_would_be_found(name, text, finding):
    (found,) = findings(name, text)
    assert finding in found


@pytest.mark.parametrize(
    "text",
    [
        "/usr/bin/chromium\n",
        "**重要**：权重\n",
        "**重要：** 权重\n",
        "~/tmp/x and work/x\n",
        "pip\n",
        '"image/png": "iVBOR/XXX+TODO/tmp/a="\n',
        "data:image/png;base64,iVBOR/XXX+TODO==\n",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert list(findings("a.md", text)) == []


def test_no_file_is_heavy_except_those_that_have_to_be():
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in project_files()}
    heavy = {name for name, size in sizes.items() if size > LARGEST}
    assert heavy == LARGE_ON_PURPOSE
    assert sum(sizes.values()) < LARGEST_TOTAL


def test_no_module_is_longer_than_a_reader_s_patience():
    lengths = {
        name: text.count("\n")
        for name, text in text_files().items()
        if name.endswith(".py") and not name.startswith("tests/")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}
    assert lengths
