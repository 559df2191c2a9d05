"""The chapters as they are stored: complete, from one run of the present code, in both editions."""

from pathlib import Path

import nbformat
import pytest
from chapter_rules import chapter_problems
from outputs import output_problems
from run_chapters import LANGUAGES, chapters
from stamps import ROOT, code_hash, stale

STORED = [
    pytest.param(path, id=f"{language}-{path.stem}")
    for language in LANGUAGES
    for path in chapters(ROOT, language)
]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_the_book_has_chapters():
    assert chapters(ROOT)


@pytest.mark.parametrize("path", STORED)
def test_the_outputs_are_those_of_the_present_code(path):
    assert stale(read(path)) == []


@pytest.mark.parametrize("path", STORED)
def test_the_outputs_are_fit_for_a_page(path):
    assert output_problems(read(path)) == []


@pytest.mark.parametrize("path", STORED)
def test_the_chapter_has_what_every_chapter_has(path):
    assert chapter_problems(read(path), path, ROOT) == []


@pytest.mark.parametrize("path", STORED)
def test_the_notebook_is_valid(path):
    nbformat.validate(read(path))


def test_the_chinese_edition_has_the_code_of_the_english_one():
    for path in chapters(ROOT, "zh"):
        twin = ROOT / "chapters/en" / path.name
        assert code_hash(read(path)) == code_hash(read(twin)), path.name
