"""The directive `{course-map}`: every chapter with its state, read from what is really there.

A chapter is written when its notebook exists; its running time comes from the notebook's stamp.
"""

import html
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .assets import BOOK
from .chapter_run import duration, read_stamp


class CourseMap(SphinxDirective):
    """A table of the parts and chapters in book/<language>/course.yml."""

    def run(self) -> list[nodes.Node]:
        """One group of rows a part, one row a chapter."""
        source = BOOK / self.config.language / "course.yml"
        self.env.note_dependency(str(source))
        words = self.config.companion_words
        rows = [
            f'<thead><tr><th colspan="2">{html.escape(words["chapter"])}</th>'
            f"<th>{html.escape(words['state'])}</th></tr></thead>"
        ]
        for part in yaml.safe_load(source.read_text(encoding="utf-8")):
            chapters = [self.row(number, title) for number, title in part["chapters"].items()]
            name = html.escape(part["part"])
            rows.append(
                f'<tbody><tr><th colspan="3" scope="rowgroup">{name}</th></tr>'
                f"{''.join(chapters)}</tbody>"
            )
        return [
            nodes.raw("", f'<table class="table course">{"".join(rows)}</table>', format="html")
        ]

    def row(self, number: int, title: str) -> str:
        """A chapter's row: a link and its running time if it is written, else "planned"."""
        words = self.config.companion_words
        name = html.escape(title)
        found = sorted(Path(self.env.srcdir).glob(f"{number:02}_*.ipynb"))
        if not found:
            return f"<tr><td>{number}</td><td>{name}</td><td>{words['planned']}</td></tr>"
        page = self.env.app.builder.get_relative_uri(self.env.docname, found[0].stem)
        stamp = read_stamp(found[0])
        state = words["written"]
        if stamp:
            state = words["ran"].format(
                duration=duration(stamp["seconds"]), device=html.escape(stamp["device"])
            )
        return f'<tr><td>{number}</td><td><a href="{page}">{name}</a></td><td>{state}</td></tr>'


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("course-map", CourseMap)
