"""Folded solution cells say "Show a solution", and to a screen reader too."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def label_solutions(app: Sphinx, doctree: nodes.document) -> None:
    """Give the cells tagged `solution` the edition's words for unfolding and folding."""
    words = app.config.companion_words
    for cell in doctree.findall(nodes.container):
        if "tag_solution" in cell["classes"]:
            cell["prompt_show"] = words["solution_show"]
            cell["prompt_hide"] = words["solution_hide"]


def read_labels_aloud(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Drop the one aria-label that MyST-NB gives every fold, in English, over its visible text."""
    if "body" in context:
        context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")


def setup(app: Sphinx) -> None:
    """Register both steps."""
    app.connect("doctree-read", label_solutions)
    app.connect("html-page-context", read_labels_aloud)
