"""Local scripts, fonts, styles and templates, so that a page asks no other host for anything."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

BOOK = Path(__file__).resolve().parents[2]

# Where a file or folder of node_modules lies in the site, under _static/vendor. Only what the
# pages load is copied: MathJax alone would be 15 MB.
VENDORED = {
    "mathjax/tex-mml-chtml.js": "mathjax/es5/tex-mml-chtml.js",
    "mathjax/output/chtml/fonts": "mathjax/es5/output/chtml/fonts",
    "d3.min.js": "d3/dist/d3.min.js",
    "jquery.min.js": "jquery/dist/jquery.min.js",
} | {
    f"fonts/{family}-{part}.woff2": f"@fontsource-variable/{family}/files/{family}-{part}.woff2"
    for family, parts in {
        "source-sans-3": ("latin-wght-normal", "latin-wght-italic", "latin-ext-wght-normal"),
        "source-serif-4": ("latin-wght-normal", "latin-wght-italic"),
        "source-code-pro": ("latin-wght-normal",),
    }.items()
    for part in parts
}


def add_book_files(app: Sphinx, config: Config) -> None:
    """Point Sphinx at the styles, templates and bibliography under book/."""
    config.html_static_path.append(str(BOOK / "static"))
    config.html_css_files += ["fonts.css", "theme.css", "chapters.css", "quizzes.css", "start.css"]
    config.html_favicon = str(BOOK / "static" / "mark.svg")
    config.templates_path.append(str(BOOK / "templates"))
    config.bibtex_bibfiles = [str(BOOK / "references.bib")]


def copy_vendored(app: Sphinx) -> None:
    """Copy what VENDORED names from node_modules into the site."""
    for target, source in VENDORED.items():
        origin = BOOK / "node_modules" / source
        destination = Path(app.outdir) / "_static" / "vendor" / target
        destination.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, destination, dirs_exist_ok=True)
        else:
            shutil.copyfile(origin, destination)


def setup(app: Sphinx) -> None:
    """Register the two steps; the first goes before extensions read their settings."""
    app.connect("config-inited", add_book_files, priority=100)
    app.connect("builder-inited", copy_vendored)
