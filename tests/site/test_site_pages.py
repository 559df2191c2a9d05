"""What the built pages hold, read from their HTML."""

import json
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "chapters" / "en"
LOADING = {  # attributes whose address a browser fetches by itself
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
CSS_ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


def soup_of(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def loaded_by(soup: BeautifulSoup) -> list[str]:
    """Every address that opening the page fetches, styles inside the page included."""
    found = [tag.get(name) for kind, name in LOADING.items() for tag in soup.find_all(kind)]
    found += [tag.get("href") for tag in soup.find_all("link") if tag.get("rel") != ["search"]]
    for style in soup.find_all("style"):
        found += [a or b for a, b in CSS_ADDRESS.findall(style.get_text())]
    return [address for address in found if address]


def is_elsewhere(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https")


@pytest.fixture(params=["book", "machinery"])
def site(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def test_pages_load_nothing_from_another_host(site):
    elsewhere = {
        (page.name, address)
        for page in site.pages
        for address in loaded_by(soup_of(page))
        if is_elsewhere(address)
    }
    assert not elsewhere


def test_styles_load_nothing_from_another_host(site):
    elsewhere = {
        (sheet.name, a or b)
        for sheet in site.folder.rglob("*.css")
        for a, b in CSS_ADDRESS.findall(sheet.read_text(encoding="utf-8"))
        if is_elsewhere(a or b)
    }
    assert not elsewhere


def test_inline_scripts_name_no_delivery_network(site):
    hosts = re.compile(r"cdnjs|jsdelivr|unpkg|googleapis|hypothes\.is")
    named = {
        (page.name, hosts.search(script.get_text()).group())
        for page in site.pages
        for script in soup_of(page).find_all("script")
        if hosts.search(script.get_text())
    }
    assert not named


def test_every_link_inside_the_site_leads_somewhere(site):
    soups = {page: soup_of(page) for page in site.pages}
    anchors = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in soups.items()}
    broken = []
    for page, soup in soups.items():
        links = [tag["href"] for tag in soup.find_all("a", href=True)] + loaded_by(soup)
        for link in links:
            parts = urlsplit(link)
            # The switch to the other edition leaves this site; it has its own test.
            if parts.scheme or not (parts.path or parts.fragment) or "/../" in link:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and anchor not in anchors.get(target, {anchor})):
                broken.append((page.name, link))
    assert not broken


def test_no_page_shows_a_path_of_the_machine_that_built_it(site, site_root):
    for page in site.pages:
        text = page.read_text(encoding="utf-8")
        assert str(ROOT) not in text, page.name
        assert str(site_root) not in text, page.name


def test_the_build_says_where_to_open_the_book(book):
    assert "site/en/index.html" in book.printed
    assert "python -m http.server --directory" in book.printed
    assert 'url=en/index.html"' in (book.folder.parent / "index.html").read_text()


def test_every_chapter_has_a_page_with_a_colab_link_to_its_notebook(book):
    settings = tomllib.loads((ROOT / "book" / "settings.toml").read_text())
    repository = settings["repository"].removeprefix("https://github.com/")
    notebooks = sorted(CHAPTERS.glob("*.ipynb"))
    for notebook in notebooks:
        expected = (
            f"https://colab.research.google.com/github/{repository}"
            f"/blob/{settings['branch']}/chapters/en/{notebook.name}"
        )
        soup = soup_of(book.folder / f"{notebook.stem}.html")
        assert soup.select_one(".chapter-run a.colab")["href"] == expected
        button = soup.select_one(".article-header-buttons a[href*=colab]")
        assert button["href"] == expected


def test_a_stamped_notebook_shows_when_and_where_it_ran(book, machinery):
    pages = [(machinery.folder / "machinery.html", "4 min 12 s on 2 CPU cores, 2026-11-21")]
    for notebook in CHAPTERS.glob("*.ipynb"):
        stamp = json.loads(notebook.read_text())["metadata"].get("companion", {}).get("stamp")
        if stamp:
            expected = f"{stamp['device']}, {stamp['date']}"
            pages.append((book.folder / f"{notebook.stem}.html", expected))
    for page, expected in pages:
        assert expected in soup_of(page).select_one("h1 + .chapter-run .stamp").get_text()


def test_the_course_map_tells_written_from_planned(book):
    rows = soup_of(book.folder / "index.html").select("table.course tr:has(td)")
    assert len(rows) == 21
    for number, row in enumerate(rows, start=1):
        assert row.td.get_text() == str(number)
        written = list(CHAPTERS.glob(f"{number:02}_*.ipynb"))
        state = row.find_all("td")[-1].get_text()
        assert state.startswith("written" if written else "planned"), (number, state)
        assert bool(row.find("a")) == bool(written)


def test_scripts_that_pages_load_come_with_the_site(machinery):
    for name in ("d3.min.js", "jquery.min.js", "mathjax/tex-mml-chtml.js"):
        assert (machinery.folder / "_static" / "vendor" / name).stat().st_size > 10_000


def test_a_solution_is_folded_under_a_label_that_is_read_aloud(machinery):
    fold = soup_of(machinery.folder / "machinery.html").select_one(".tag_solution details")
    assert not fold.has_attr("open")
    assert fold.summary.get_text(strip=True, separator="/") == "Show a solution/Hide the solution"
    assert not fold.summary.has_attr("aria-label")


def test_chinese_in_english_prose_is_marked_as_chinese(machinery):
    soup = soup_of(machinery.folder / "machinery.html")
    assert soup.html["lang"] == "en"
    assert "注意力" in [tag.get_text() for tag in soup.select('article p > span[lang="zh-Hans"]')]
    assert not soup.select("pre span[lang]"), "code stays as it is"


def test_the_language_switch_leads_to_the_same_page_or_the_start(book, machinery):
    def chinese(page: str) -> str:
        soup = soup_of(machinery.folder / page)
        assert soup.select_one(".language-switch [aria-current]")["hreflang"] == "en"
        return soup.select_one('.language-switch [hreflang="zh"]')["href"]

    assert chinese("machinery.html") == "./../zh/machinery.html"
    assert chinese("bibliography.html") == "./../zh/index.html"
    if not (ROOT / "book" / "zh" / "_toc.yml").exists():
        assert not soup_of(book.folder / "index.html").select(".language-switch")
