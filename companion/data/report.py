"""What `check_dataset` found, for the terminal, for a notebook and as plain data."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from io import StringIO
from typing import Any

from rich.console import Console, ConsoleOptions, Group
from rich.table import Table
from rich.text import Text

QUANTILES = {
    "shortest": 0.0,
    "5% quantile": 0.05,
    "25% quantile": 0.25,
    "median": 0.5,
    "75% quantile": 0.75,
    "95% quantile": 0.95,
    "99% quantile": 0.99,
    "longest": 1.0,
}
MATTERS = 0.01  # the share of a split from which on a defect moves its score noticeably
LEVELS = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


@dataclass(frozen=True)
class Finding:
    """One thing to know about a data set before training on it.

    Attributes:
        level: `error` (a score measured on this data is wrong), `warning` (training or the
            score suffers) or `note` (worth knowing).
        kind: a short name, such as `shared_texts` or `duplicates`.
        split: where it was found; empty if in the data set as a whole.
        count: how many rows it is about.
        message: the numbers and what to do, in one to three sentences.
        examples: up to two pieces of text.
        details: further counts by name.
    """

    level: str
    kind: str
    split: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitStats:
    """The size of a split: rows, rows of each class, and lengths of texts by quantile.

    The quantiles are those of QUANTILES, in characters, and in tokens where they were counted.
    """

    rows: int
    labels: dict[str, int]
    characters: dict[str, int]
    tokens: dict[str, int] | None = None


@dataclass(frozen=True)
class Report:
    """The result of `check_dataset`: `splits` by name, and `findings`, the gravest first."""

    name: str
    splits: dict[str, SplitStats]
    findings: list[Finding]

    def of_kind(self, kind: str, split: str | None = None) -> list[Finding]:
        """The findings of one kind, of one split if it is given."""
        return [f for f in self.findings if f.kind == kind and split in (None, f.split)]

    def to_dict(self) -> dict[str, Any]:
        """The whole report in numbers, strings, lists and dictionaries, as for JSON."""
        return asdict(self)

    def _lines(self) -> Iterator[tuple[str, list[str]]]:
        """The table of sizes: the title of a line, then a cell for each split."""
        stats = list(self.splits.values())
        yield "rows", [f"{s.rows:,}" for s in stats]
        for label in stats[0].labels if stats else ():
            cells = [f"{s.labels[label]:,} ({share(s.labels[label], s.rows)})" for s in stats]
            yield f"label {label}", cells
        for q in QUANTILES:
            yield f"characters, {q}", [f"{s.characters[q]:,}" for s in stats]
        for q in QUANTILES if all(s.tokens for s in stats) else ():
            yield f"tokens, {q}", [f"{s.tokens[q]:,}" for s in stats if s.tokens]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Group]:
        table = Table(title=Text(self.name) if self.name else None, title_justify="left")
        table.add_column("")
        for split in self.splits:
            table.add_column(split, justify="right")
        for title, cells in self._lines():
            table.add_row(Text(title), *cells)
        lines = []
        for finding in self.findings:
            line = Text(f"{finding.level}: ", LEVELS[finding.level])
            lines.append(line.append(finding.message, "not bold default"))
            lines += [Text(f"    “{example}”", "dim") for example in finding.examples]
        yield Group(table, *(lines or [Text("Nothing to report.")]))

    def __str__(self) -> str:
        out = StringIO()
        Console(file=out, width=100, color_system=None).print(self)
        return out.getvalue()

    def _repr_html_(self) -> str:
        """A table and a list, without colours of their own, so that any theme suits them."""
        head = "".join(f"<th>{html.escape(split)}</th>" for split in self.splits)
        body = "".join(
            f"<tr><th>{html.escape(title)}</th>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for title, cells in self._lines()
        )
        items = "".join(
            f"<li><strong>{f.level}</strong>: {html.escape(f.message)}"
            + "".join(f"<br><q>{html.escape(example)}</q>" for example in f.examples)
            + "</li>"
            for f in self.findings
        )
        return (
            f"<table><caption>{html.escape(self.name)}</caption>"
            f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<ul>{items or '<li>Nothing to report.</li>'}</ul>"
        )


def graver(part: int, whole: int, above: str, below: str) -> str:
    """The level `above` if the share moves a score noticeably, `below` if not."""
    return above if part >= MATTERS * whole else below


def share(part: int, whole: int) -> str:
    """A share in percent, such as 27.6%, never rounded down to nothing."""
    percent = 100 * part / max(whole, 1)
    return "<0.1%" if 0 < percent < 0.05 else f"{percent:.1f}%"


def excerpt(text: str, position: int = 0, width: int = 40) -> str:
    """About `width` characters of a text around a position, on one line, nothing unprintable."""
    start = max(0, min(position - width // 3, len(text) - width))
    piece = text[start : start + width].replace("\n", " ")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in piece)
    return "…" * (start > 0) + shown + "…" * (start + width < len(text))
