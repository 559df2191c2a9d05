"""The rules of chapter_rules.py: a good chapter passes, and each way of breaking one is named."""

import copy
import json
import re

import nbformat
import pytest
from chapter_rules import chapter_problems
from quizzes import read_questions

COLAB = "https://colab.research.google.com/github/some-owner/some-name/blob/main/chapters/en/"


@pytest.fixture
def notebook(stored):
    return nbformat.read(stored, as_version=4)


def test_a_chapter_that_has_everything_passes(notebook, stored, root):
    assert chapter_problems(notebook, stored, root) == []


def replaced(old, new):
    """A change of the notebook's text, which must be there to be changed."""

    def change(notebook):
        text = json.dumps(notebook, ensure_ascii=False)
        assert old in text
        return nbformat.from_dict(json.loads(text.replace(old, new)))

    return change


def without(index):
    def change(notebook):
        del notebook.cells[index]
        return notebook

    return change


def tagged(index, *tags):
    def change(notebook):
        notebook.cells[index].metadata["tags"] = list(tags)
        return notebook

    return change


def without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    return notebook


def with_empty_cell(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    return notebook


BREAKS = {
    "no title": (replaced("# A sample", "A sample"), "does not begin with a title"),
    "link to another file": (replaced("07_sample.ipynb", "7.ipynb"), f"Colab link.*{COLAB}"),
    "link to another owner": (replaced("github/some-owner", "github/a"), "has no Colab link"),
    "no time on a CPU": (replaced("CPU", "computer"), "how long it takes .'CPU'"),
    "no install cell": (without(1), "does not begin its code with the cell that installs"),
    "install from elsewhere": (replaced("git+https://github.com/some", "x"), "the cell that inst"),
    "no parameters": (tagged(2), "has 0 cells tagged 'parameters'"),
    "two parameter cells": (tagged(3, "parameters"), "has 2 cells tagged 'parameters'"),
    "computed parameter": (replaced("rows = 3", "rows = max(1, 3)"), "more than plain values"),
    "code among parameters": (replaced("rows = 3", "print(3)"), "more than plain values"),
    "small value of no parameter": (replaced("rows = 3", "n = 3"), "has no parameter 'rows'"),
    "empty cell": (with_empty_cell, "has an empty cell, number 18"),
    "one figure": (without(4), "has 1 figures"),
    "no common mistake": (replaced("Common mistake", "Remark"), "section on a common mistake"),
    "no heading for exercises": (replaced("## Exercises", "## Tasks"), "no section of exercises"),
    "two exercises": (replaced("7.3", "7.2"), "has 2 exercises with a checker"),
    "exercise of another chapter": (replaced("7.3", "8.3"), "8.3, which belongs to another"),
    "nothing to answer": (without(9), "has no cell in which the reader answers exercise 7.1"),
    "no solution": (without(10), "has 0 solution cells for exercise 7.1"),
    "wrong solution": (replaced("✓ 7.1", "✗ 7.1"), "solution of exercise 7.1 that the checker"),
    "solution not folded": (tagged(10, "solution"), "a solution that is not folded away"),
    "solution shown in the lab": (
        replaced('"source_hidden": true', '"source_hidden": false'),
        "a solution that is not folded away",
    ),
    "no heading for the quiz": (replaced("## Quiz", "## Questions"), "no section with a quiz"),
    "no quiz": (replaced('class=\\"quiz\\"', ""), "has 0 quiz questions"),
    "no right choice": (replaced('class=\\"right\\"', ""), "has 0 right choices in quiz question"),
    "two right choices": (
        replaced("<details><summary>none", '<details class=\\"right\\"><summary>none'),
        "has 2 right choices in quiz question",
    ),
    "unexplained choice": (replaced("No: three is odd.", ""), "explain the choice 'three' in quiz"),
    "four lines to remember": (replaced("- five", ""), "has 4 lines to remember"),
    "nothing to remember": (replaced("Five lines to remember", "End"), "the five lines to rem"),
    "nothing next": (replaced("## What comes next", "## After"), "does not say what comes next"),
    "no sources": (replaced("A book.", ""), "names no sources"),
    "bold that will not show": (replaced("Four times", "**重要：**权重"), "will not show as bold"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_chapter_that_breaks_a_rule_is_told(notebook, stored, root, name):
    change, problem = BREAKS[name]
    problems = chapter_problems(change(copy.deepcopy(notebook)), stored, root)
    assert any(re.search(problem, found) for found in problems), problems


def test_without_outputs_figures_and_verdicts_are_missed(notebook, stored, root):
    problems = chapter_problems(without_outputs(notebook), stored, root)
    assert "has 0 figures, expected at least 2" in problems
    assert sum("the checker did not find right" in problem for problem in problems) == 3


def test_a_caption_without_a_picture_is_missed(notebook, stored, root):
    notebook.cells.append(nbformat.v4.new_markdown_cell("**Figures 98 and 99.** Nothing."))
    (problem,) = chapter_problems(notebook, stored, root)
    assert problem.startswith("has a caption of figure 99, but only")


def test_a_row_of_small_values_is_missed(notebook, stored, root):
    (root / "chapters/small.toml").write_text("", encoding="utf-8")
    assert chapter_problems(notebook, stored, root) == [
        "has no row [07_sample] in chapters/small.toml"
    ]


def test_the_chinese_edition_is_read_by_its_own_headings(notebook, stored, root):
    chinese = copy.deepcopy(notebook)
    for english, own in {
        "Common mistake": "常见错误",
        "## Exercises": "## 练习",
        "## Quiz": "## 自测",
        "Five lines to remember": "记住五句话",
        "What comes next": "接下来",
        "## Sources": "## 参考文献",
        "chapters/en/": "chapters/zh/",
    }.items():
        chinese = replaced(english, own)(chinese)
    path = root / "chapters/zh" / stored.name
    assert chapter_problems(chinese, path, root) == []
    assert chapter_problems(notebook, path, root) != []


def test_questions_are_read_whether_they_share_a_block_or_not():
    question = (
        "<p><b>1.</b> Is <code>a &lt; b</code>?</p>\n<details><summary>yes</summary><p>No: b is 1."
        '</p></details><details class="right"><summary>no</summary>Right.</details>'
    )
    together = f'text <p>outside</p> <div class="quiz">{question}{question}</div> <p>after</p>'
    apart = f'<div class="quiz">{question}</div>\n\n<div class="quiz">\n{question}\n</div>'
    assert read_questions(together) == read_questions(apart)
    first, second = read_questions(together)
    assert first.text == "1. Is a < b?"
    assert [(c.right, c.text, c.explanation) for c in second.choices] == [
        (False, "yes", "No: b is 1."),
        (True, "no", "Right."),
    ]
