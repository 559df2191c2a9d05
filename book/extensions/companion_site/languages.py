"""Two languages: Chinese marked as such in other prose, and links between the editions."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# Ideographs with the punctuation and full-width forms between them.
CHINESE = re.compile(r"([\u3400-\u9fff\uf900-\ufaff][\u3000-\u303f\u3400-\u9fff\uf900-\uffef]*)")
SUFFIXES = (".md", ".ipynb")


class MarkChinese(SphinxPostTransform):
    """Wrap Chinese in `<span lang="zh-Hans">`, for the right glyphs and the right voice."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Split every text node of prose that holds Chinese; code and formulas stay whole."""
        if self.config.language.startswith("zh"):
            return
        fixed = (nodes.FixedTextElement, nodes.literal, nodes.raw, nodes.math)
        for text in list(self.document.findall(nodes.Text)):
            pieces = CHINESE.split(text.astext())
            if len(pieces) == 1 or isinstance(text.parent, fixed):
                continue
            # The odd pieces are the Chinese; docutils writes this class as a lang attribute.
            marked = [
                nodes.inline("", piece, classes=["language-zh-Hans"])
                if i % 2
                else nodes.Text(piece)
                for i, piece in enumerate(pieces)
                if piece
            ]
            text.parent.replace(text, marked)


def link_editions(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give the sidebar each edition's address of this page, or of its start page."""
    chapters = Path(app.srcdir).parent
    editions = []
    for code, name in app.config.companion_editions.items():
        exists = any((chapters / code / (page + suffix)).exists() for suffix in SUFFIXES)
        target = page if exists else context["root_doc"]
        address = f"{context['content_root']}../{code}/{target}.html"
        editions.append(
            {"code": code, "name": name, "url": address, "current": code == app.config.language}
        )
    context["editions"] = editions
    context["companion_words"] = app.config.companion_words


def setup(app: Sphinx) -> None:
    """Register the transform, the links, and the setting that names the editions."""
    app.add_config_value("companion_editions", {}, "html", types=[dict])
    app.add_post_transform(MarkChinese)
    app.connect("html-page-context", link_editions)
