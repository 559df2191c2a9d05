"""What every chapter has, as far as a program can see it.

Each rule is a function that takes a `Chapter` and yields sentences on what is missing.
`chapter_problems` asks them all.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode
from quizzes import read_questions

# Words that the headings of a chapter contain, by language.
HEADINGS = {
    "en": {
        "mistake": r"common mistake",
        "exercises": r"exercises",
        "quiz": r"quiz",
        "remember": r"remember",
        "next": r"next",
        "sources": r"sources|references|reading",
    },
    "zh": {
        "mistake": r"常见(错误|误区)",
        "exercises": r"练习",
        "quiz": r"测验|自测",
        "remember": r"记住",
        "next": r"接下来|下一",
        "sources": r"来源|参考|文献",
    },
}
CHECK = re.compile(r"\bcheck\(\s*[\"'](\d+\.\d+)[\"']")
BOLD_PUNCTUATION = re.compile(r"\*\*[^*\n]*[，。：；！？、]\*\*(?=\w)")


@dataclass(frozen=True)
class Chapter:
    """A notebook with what the rules need to know about where it lies."""

    notebook: NotebookNode
    name: str
    language: str
    root: Path

    @property
    def number(self) -> str:
        return str(int(self.name.split("_")[0]))

    @cached_property
    def code(self) -> list[NotebookNode]:
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @cached_property
    def prose(self) -> str:
        cells = [cell.source for cell in self.notebook.cells if cell.cell_type == "markdown"]
        return "\n\n".join(cells)

    @cached_property
    def settings(self) -> dict[str, str]:
        path = self.root / "book/settings.toml"
        return tomllib.loads(path.read_text(encoding="utf-8"))

    def tagged(self, tag: str) -> list[NotebookNode]:
        return [cell for cell in self.code if tag in cell.metadata.get("tags", [])]

    def section(self, key: str) -> str | None:
        """Text of the first section whose heading has the words of `key`; None without one."""
        pattern = HEADINGS[self.language][key]
        heading = rf"^(#+) [^\n]*(?:{pattern})[^\n]*$(.*?)(?=^#+ |\Z)"
        flags = re.MULTILINE | re.DOTALL | re.IGNORECASE
        match = re.search(heading, self.prose, flags)
        return match.group(2) if match else None


def opening(chapter: Chapter) -> Iterator[str]:
    """A title, a Colab link to this very notebook, times, and the install cell first."""
    cells = chapter.notebook.cells
    first_code = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    head = "\n".join(cell.source for cell in cells[:first_code])
    if not head.startswith("# "):
        yield "does not begin with a title ('# …')"
    slug = chapter.settings["repository"].removeprefix("https://github.com/")
    branch = chapter.settings["branch"]
    path = f"chapters/{chapter.language}/{chapter.name}.ipynb"
    colab = f"https://colab.research.google.com/github/{slug}/blob/{branch}/{path}"
    if colab not in head:
        yield f"has no Colab link before its first code cell; expected {colab}"
    for word in ("CPU", "GPU", "Colab"):
        if word not in re.sub(r"\(https?:[^)]*\)|<[^>]*>", "", head):
            yield f"does not say before its first code cell how long it takes ('{word}' is missing)"
    install = chapter.code[0].source if chapter.code else ""
    if "pip install" not in install or chapter.settings["repository"] not in install:
        yield (
            "does not begin its code with the cell that installs companion from "
            f"{chapter.settings['repository']} where it is missing"
        )


def parameters(chapter: Chapter) -> Iterator[str]:
    """One parameters cell of plain values, and a row of small values that fits it."""
    cells = chapter.tagged("parameters")
    if len(cells) != 1:
        yield f"has {len(cells)} cells tagged 'parameters', expected 1"
        return
    names = set()
    for statement in ast.parse(cells[0].source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names.add(name)
            case _:
                value = statement
        try:
            ast.literal_eval(value)
        except (ValueError, TypeError):
            yield f"has more than plain values in its parameters: {ast.unparse(statement)}"
    rows = tomllib.loads((chapter.root / "chapters/small.toml").read_text(encoding="utf-8"))
    if chapter.name not in rows:
        yield f"has no row [{chapter.name}] in chapters/small.toml"
    for name in sorted(set(rows.get(chapter.name, {})) - names):
        yield f"has no parameter '{name}', which its row in chapters/small.toml sets"


def code_cells(chapter: Chapter) -> Iterator[str]:
    for number, cell in enumerate(chapter.notebook.cells, start=1):
        if not cell.source.strip():
            yield f"has an empty cell, number {number}"


def figures(chapter: Chapter) -> Iterator[str]:
    """At least two figures, pictures or views drawn by a script, and one for each caption."""
    count = 0
    for cell in chapter.code:
        for output in cell.outputs:
            data = output.get("data", {})
            html = data.get("text/html", "")
            count += any(mime.startswith("image/") for mime in data) or "<script" in html
    if count < 2:
        yield f"has {count} figures, expected at least 2"
    caption = r"^\*\*(?:Figures?|图) ?(\d+)(?:(?: and |、|和)(\d+))?"
    captions = re.findall(caption, chapter.prose, re.MULTILINE)
    named = max((int(number) for pair in captions for number in pair if number), default=0)
    if count < named:
        yield f"has a caption of figure {named}, but only {count} figures"


def mistake(chapter: Chapter) -> Iterator[str]:
    if chapter.section("mistake") is None:
        yield "has no section on a common mistake"


def exercises(chapter: Chapter) -> Iterator[str]:
    """Three to five, each with a cell to fill in and a folded solution that was found right."""
    if chapter.section("exercises") is None:
        yield "has no section of exercises"
    solutions = chapter.tagged("solution")
    starters = [cell for cell in chapter.code if cell not in solutions]
    names = sorted({name for cell in chapter.code for name in CHECK.findall(cell.source)})
    if not 3 <= len(names) <= 5:
        yield f"has {len(names)} exercises with a checker, expected 3 to 5"
    for name in names:
        if name.split(".")[0] != chapter.number:
            yield f"checks exercise {name}, which belongs to another chapter"
        if not any(name in CHECK.findall(cell.source) for cell in starters):
            yield f"has no cell in which the reader answers exercise {name}"
        solved = [cell for cell in solutions if name in CHECK.findall(cell.source)]
        if len(solved) != 1:
            yield f"has {len(solved)} solution cells for exercise {name}, expected 1"
        for cell in solved:
            if f"✓ {name} " not in "".join(o.get("text", "") for o in cell.outputs):
                yield f"stores a solution of exercise {name} that the checker did not find right"
    for cell in solutions:
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if "hide-cell" not in cell.metadata.tags or not hidden:
            yield (
                "has a solution that is not folded away: tag it 'hide-cell' and set "
                f"jupyter.source_hidden: {cell.source.strip().splitlines()[0]!r}"
            )


def quiz(chapter: Chapter) -> Iterator[str]:
    """Four to six questions, one right choice each, and a sentence on every choice."""
    if chapter.section("quiz") is None:
        yield "has no section with a quiz"
    questions = read_questions(chapter.prose)
    if not 4 <= len(questions) <= 6:
        yield f"has {len(questions)} quiz questions, expected 4 to 6"
    for question in questions:
        where = f"in quiz question {question.text[:40]!r}"
        right = sum(choice.right for choice in question.choices)
        if len(question.choices) < 3:
            yield f"has {len(question.choices)} choices {where}, expected at least 3"
        if right != 1:
            yield f"has {right} right choices {where}, expected 1"
        for choice in question.choices:
            if not choice.text or not choice.explanation:
                yield f"does not explain the choice {choice.text!r} {where}"


def closing(chapter: Chapter) -> Iterator[str]:
    """Five lines to remember, what comes next, sources: in this order."""
    remember = chapter.section("remember")
    lines = re.findall(r"^\s*(?:[-*]|\d+\.)\s+\S", remember or "", re.MULTILINE)
    if remember is None:
        yield "has no section with the five lines to remember"
    elif len(lines) != 5:
        yield f"has {len(lines)} lines to remember, expected 5"
    if chapter.section("next") is None:
        yield "does not say what comes next"
    if not (chapter.section("sources") or "").strip():
        yield "names no sources"


def typography(chapter: Chapter) -> Iterator[str]:
    """Markdown does not see bold where Chinese punctuation stands before the closing asterisks."""
    for found in BOLD_PUNCTUATION.findall(chapter.prose):
        yield f"has bold text that will not show as bold; put its last sign outside: {found}"


RULES = (
    opening,
    parameters,
    code_cells,
    figures,
    mistake,
    exercises,
    quiz,
    closing,
    typography,
)


def chapter_problems(notebook: NotebookNode, path: Path, root: Path) -> list[str]:
    """What the notebook at `path` (chapters/LANGUAGE/NN_name.ipynb) lacks; empty when nothing."""
    chapter = Chapter(notebook, path.stem, path.parent.name, root)
    return [problem for rule in RULES for problem in rule(chapter)]
