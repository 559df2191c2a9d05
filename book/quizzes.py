"""Reading the quizzes of a chapter: plain HTML in its Markdown cells.

<div class="quiz">
<p><b>1.</b> Question?</p>
<details><summary>a choice</summary><p>No: why.</p></details>
<details class="right"><summary>another</summary><p>Right: why.</p></details>
</div>
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "img", "hr", "input", "wbr"}


@dataclass
class Choice:
    right: bool
    text: str = ""
    explanation: str = ""


@dataclass
class Question:
    text: str = ""
    choices: list[Choice] = field(default_factory=list)


class QuizParser(HTMLParser):
    """Collects the questions; text outside of a quiz is passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[Question] = []
        self.open: list[str] = []  # tags open since the quiz's <div>, which is the first

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if not self.open and not (tag == "div" and "quiz" in classes):
            return
        if tag == "p" and "details" not in self.open:
            self.questions.append(Question())
        elif tag == "details" and self.questions:
            self.questions[-1].choices.append(Choice("right" in classes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self.open or not self.questions:
            return
        question = self.questions[-1]
        if "details" not in self.open:
            question.text += data.strip("\n")
        elif question.choices and "summary" in self.open:
            question.choices[-1].text += data.strip()
        elif question.choices:
            question.choices[-1].explanation += data.strip()


def read_questions(text: str) -> list[Question]:
    """The questions of every quiz in a Markdown text, in their order."""
    parser = QuizParser()
    parser.feed(text)
    parser.close()
    return parser.questions
