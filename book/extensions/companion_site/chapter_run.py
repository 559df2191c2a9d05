"""Under a chapter's title: where its stored outputs come from, and a link that opens it in Colab.

A notebook that ran from top to bottom carries the stamp in its metadata, `companion.stamp`:
`device` (str), `seconds` (float), `date` (str) and `versions` (package name to version).
"""

import html
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def duration(seconds: float) -> str:
    """Seconds as a reader would say them: "38 s", "4 min 12 s", "1 h 05 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def read_stamp(notebook: Path) -> dict[str, Any] | None:
    """The stamp of a stored notebook, or None if it has not been run from top to bottom."""
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return metadata.get("companion", {}).get("stamp")


def stamp_html(stamp: dict[str, Any], words: dict[str, str]) -> str:
    """The stamp's two sentences as paragraphs, in the words of the edition."""
    versions = ", ".join(f"{name} {version}" for name, version in stamp["versions"].items())
    run = words["stamp"].format(
        duration=duration(stamp["seconds"]), device=stamp["device"], date=stamp["date"]
    )
    sentences = [run, words["versions"].format(versions=versions)]
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def colab_address(app: Sphinx, name: str) -> str:
    """Where Colab opens the notebook of this file name."""
    options = app.config.html_theme_options
    owner, repository = options["repository_url"].rstrip("/").split("/")[-2:]
    return (
        f"{options['launch_buttons']['colab_url']}/github/{owner}/{repository}"
        f"/blob/{options['repository_branch']}/{options['path_to_docs']}/{name}"
    )


def show_run(app: Sphinx, doctree: nodes.document) -> None:
    """Put the stamp and the Colab link after the title of a notebook's page."""
    source = Path(app.env.doc2path(app.env.docname))
    title = doctree.next_node(nodes.title)
    if source.suffix != ".ipynb" or title is None:
        return
    words = app.config.companion_words
    stamp = read_stamp(source)
    link = f'<a class="colab" href="{html.escape(colab_address(app, source.name))}">'
    text = (
        '<div class="chapter-run">'
        + (f'<div class="stamp">{stamp_html(stamp, words)}</div>' if stamp else "")
        + f"{link}{html.escape(words['colab'])}</a></div>"
    )
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", text, format="html"))


def setup(app: Sphinx) -> None:
    """Register the addition."""
    app.connect("doctree-read", show_run)
