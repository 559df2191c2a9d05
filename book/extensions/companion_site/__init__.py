"""What the book's pages need beyond Jupyter Book, one idea a module.

`assets` puts the vendored scripts and fonts into the site, `attention_views` lets BertViz's
views load them from there, `chapter_run` shows when and where a notebook ran, `course_map`
tables the chapters, `solutions` labels folded cells, and `languages` marks Chinese in English
prose and links the editions.
"""

from sphinx.application import Sphinx

from . import assets, attention_views, chapter_run, course_map, languages, solutions


def setup(app: Sphinx) -> dict[str, bool]:
    """Register every part with Sphinx."""
    # The words of the edition, from <language>/_config.yml.
    app.add_config_value("companion_words", {}, "env", types=[dict])
    for part in (assets, attention_views, chapter_run, course_map, languages, solutions):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
