"""Attention views from the site's own files: in a notebook they load two scripts from elsewhere."""

import re
from typing import Any

from docutils.nodes import document
from sphinx.application import Sphinx

# As companion/explanation/view_page.py writes them, in quotes.
ADDRESS = re.compile(
    r'"https://cdnjs\.cloudflare\.com/ajax/libs/(?:d3|jquery)/[\d.]+/(?P<file>(?:d3|jquery)\.min\.js)"'
)


def use_local_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: document | None
) -> None:
    """Rewrite the addresses in the page's body, relative to the page."""
    if "body" in context:
        vendor = context["pathto"]("_static/vendor", resource=True)
        context["body"] = ADDRESS.sub(rf'"{vendor}/\g<file>"', context["body"])


def setup(app: Sphinx) -> None:
    """Register the rewriting."""
    app.connect("html-page-context", use_local_scripts)
