"""The site as a reader meets it: in Chromium, light and dark, on a wide screen and on a phone."""

from pathlib import Path

import pytest

from tests.site.visits import VIEWS

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "_build" / "screenshots"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
pytestmark = pytest.mark.browser


def ground_of(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["book", "machinery"])
def test_pages_open_without_trouble_and_fit(name, view, visit, site_root, request):
    """No console error, no other host, no broken image, no sideways scroll, readable contrast."""
    site = request.getfixturevalue(name)
    (SCREENSHOTS / name).mkdir(parents=True, exist_ok=True)
    troubles = []
    for file in site.pages:
        if file.name == "genindex.html":
            continue
        visited = visit(file.relative_to(site_root).as_posix(), view)
        page = visited.page
        shot = SCREENSHOTS / name / f"{file.stem}-{view}.png"
        page.screenshot(path=shot, full_page=True)
        found = list(visited.troubles)
        found += page.evaluate(
            "[...document.images].filter(i => !i.naturalWidth).map(i => `broken image ${i.src}`)"
        )
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > VIEWS[view][0]:
            found.append(f"{width} px wide")
        # Folded text must be readable too.
        page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        found += page.evaluate(CONTRAST)
        troubles += [(file.name, trouble) for trouble in found]
        page.context.close()
    assert not troubles, "\n".join(map(str, troubles))


def test_formulas_are_typeset_from_the_sites_own_files(visit, machinery):
    visited = visit("machinery/site/en/machinery.html")
    page = visited.page
    page.wait_for_selector("mjx-container")
    assert page.locator(".math > mjx-container").count() == page.locator(".math").count() == 3
    assert page.locator(".quiz mjx-container").count() == 2
    assert page.evaluate("document.fonts.check('16px MJXTEX')")
    assert any("/_static/vendor/mathjax/" in url and ".woff" in url for url in visited.requests)


def test_the_theme_button_changes_the_ground_and_is_remembered(visit, machinery):
    page = visit("machinery/site/en/index.html").page
    grounds = {"light": ground_of(page)}
    button = page.locator(".theme-switch-button:visible").first
    for _ in range(3):
        button.click()
        mode = page.evaluate("document.documentElement.dataset.theme")
        grounds.setdefault(mode, ground_of(page))
        if page.evaluate("document.documentElement.dataset.mode") == "dark":
            break
    assert len(set(grounds.values())) == 2
    page.goto(page.url.replace("index", "machinery"), wait_until="networkidle")
    assert ground_of(page) == grounds["dark"]


def test_a_quiz_is_answered_with_the_keyboard_and_without_scripts(visit, machinery):
    page = visit("machinery/site/en/machinery.html", java_script_enabled=False).page
    quiz = page.locator(".quiz").first
    assert quiz.locator("details[open]").count() == 0
    choices = quiz.locator("summary")
    choices.nth(0).focus()
    page.keyboard.press("Enter")
    assert quiz.get_by_text("No: every term is positive.").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert quiz.get_by_text("Right: the terms are divided by their sum.").is_visible()


def test_keyboard_focus_is_visible_on_a_choice(visit, machinery):
    page = visit("machinery/site/en/machinery.html").page
    page.locator(".quiz summary").first.focus()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outline")
    assert "solid" in outline
    assert "2px" in outline


def test_right_and_wrong_choices_look_different_once_open(visit, machinery):
    page = visit("machinery/site/en/machinery.html").page
    page.evaluate("document.querySelectorAll('.quiz details').forEach(fold => fold.open = true)")
    mark = "e => getComputedStyle(e, '::before').content"
    assert "✓" in page.locator(".quiz details.right > summary").first.evaluate(mark)
    assert "✗" in page.locator(".quiz details:not(.right) > summary").first.evaluate(mark)


def test_a_solution_unfolds_on_demand(visit, machinery):
    page = visit("machinery/site/en/machinery.html").page
    source = page.locator(".tag_solution .cell_input")
    assert not source.is_visible()
    page.get_by_text("Show a solution").click()
    assert source.is_visible()


@pytest.mark.parametrize("word", ["attention", "softmax"])
def test_the_search_finds_a_word(word, visit, machinery):
    page = visit(f"machinery/site/en/search.html?q={word}").page
    result = page.locator("#search-results a", has_text="Page machinery").first
    result.wait_for()
    result.click()
    page.wait_for_url("**/machinery.html*")


def test_the_books_search_opens_from_the_keyboard(visit, book):
    page = visit("book/site/en/index.html").page
    page.keyboard.press("Control+k")
    field = page.locator("#pst-search-dialog input[type=search]")
    field.fill("bidirectional")
    field.press("Enter")
    page.locator("#search-results a", has_text="Bibliography").first.wait_for()


def test_on_a_phone_the_contents_open_and_wide_things_scroll_by_themselves(visit, machinery):
    page = visit("machinery/site/en/machinery.html", "phone").page
    scrolls = "e => e.scrollWidth > e.clientWidth"
    table = page.locator(".pst-scrollable-table-container").first
    assert table.evaluate(scrolls)
    assert page.locator(".cell_input .highlight pre").nth(1).evaluate(scrolls)
    entry = page.locator("#pst-primary-sidebar-modal a", has_text="Bibliography")
    assert not entry.is_visible()
    page.locator("button.primary-toggle:visible").first.click()
    entry.click()
    page.wait_for_url("**/bibliography.html")
