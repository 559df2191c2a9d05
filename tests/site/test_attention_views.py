"""Attention views as a reader meets them: in Chromium, on a page of the site and in a notebook."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.site.attention_page import (
    CHINESE,
    MARKUP,
    SECOND_START,
    TOKENS,
    random_vectors,
    random_weights,
    views,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = "machinery/site/en/attention_views.html"
HEAD, HEAD_CHINESE, MODEL, NEURON, NEURON_AGAIN, NEURON_MARKUP = range(6)
DRAWN = "document.querySelectorAll('.attention-view svg').length == {}"

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(visit, machinery):
    """A function that opens the page, checks that all went well, and waits for the drawings."""
    visits = []

    def open_page(view: str = "light"):
        visited = visit(PAGE, view, until="load")
        visits.append(visited)
        visited.page.wait_for_function(DRAWN.format(6))
        return visited.page

    yield open_page
    assert [trouble for visited in visits for trouble in visited.troubles] == []


def view_of(page, index: int):
    return page.locator(".attention-view").nth(index)


def opacities(view, heads: int, tokens: int) -> torch.Tensor:
    """(N, T, T): how strong the lines of a head view are drawn."""
    found = view.locator(".bv-attention line").evaluate_all(
        "lines => lines.map(line => Number(line.getAttribute('stroke-opacity')))"
    )
    return torch.tensor(found, dtype=torch.float32).view(heads, tokens, tokens)


def lit_lines(view) -> list[list[int]]:
    """[left token, right token] of the lines of a head view that can be seen."""
    return view.locator(".bv-attention line").evaluate_all(
        "lines => lines.filter(line => getComputedStyle(line).visibility == 'visible').map(line =>"
        "['left', 'right'].map(side => Number(line.getAttribute(`${side}-token-index`))))"
    )


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_views_share_the_site_s_scripts_and_no_ids(opened, machinery):
    html = (machinery.folder / "attention_views.html").read_text()
    assert html.count('"_static/vendor/d3.min.js"') == 6
    assert html.count('"_static/vendor/jquery.min.js"') == 6
    page = opened()
    assert page.locator("script[src*='vendor/d3.min.js']").count() == 1
    for index in (HEAD, MODEL):
        view_of(page, index).locator(".bv-filter").select_option("3")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    assert sum(name.startswith("bertviz-") for name in ids) == 6


def test_lines_are_as_strong_as_their_weights_and_follow_the_chosen_layer(opened):
    page = opened()
    view, other = view_of(page, HEAD), view_of(page, HEAD_CHINESE)
    weights, weights_chinese = random_weights(TOKENS, 0), random_weights(CHINESE, 1)
    alone = torch.zeros(4, 1, 1)
    alone[2] = 1
    same(opacities(view, 4, 7), weights[0] / 4)
    same(opacities(other, 4, 5), weights_chinese[1] * alone)
    # With the keyboard alone.
    view.locator(".bv-layer").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    same(opacities(view, 4, 7), weights[2] / 4)
    same(opacities(other, 4, 5), weights_chinese[1] * alone)
    other.locator(".bv-layer").select_option("0")
    same(opacities(other, 4, 5), weights_chinese[0] * alone)
    same(opacities(view, 4, 7), weights[2] / 4)


def test_pointing_at_a_token_leaves_its_lines_alone_in_that_view_only(opened):
    page = opened()
    view, other = view_of(page, HEAD), view_of(page, HEAD_CHINESE)
    every = len(TOKENS) ** 2 * 4
    assert len(lit_lines(view)) == every
    view.locator(".bv-left text").nth(2).hover()
    assert {left for left, _ in lit_lines(view)} == {2}
    assert len(lit_lines(view)) == every / len(TOKENS)
    assert len(lit_lines(other)) == len(CHINESE) ** 2 * 4
    view.locator(".bv-right text").nth(5).hover()
    assert {right for _, right in lit_lines(view)} == {5}
    page.mouse.move(2, 2)
    assert len(lit_lines(view)) == every


def test_heads_are_hidden_by_click_or_key(opened):
    page = opened()
    view = view_of(page, HEAD)
    weights = random_weights(TOKENS, 0)[0]
    squares = view.get_by_role("checkbox")
    assert squares.count() == 4
    squares.nth(1).click()
    assert squares.nth(1).get_attribute("aria-checked") == "false"
    same(opacities(view, 4, 7), weights / 3 * torch.tensor([1, 0, 1, 1]).view(4, 1, 1))
    squares.nth(1).focus()
    page.keyboard.press("Space")
    same(opacities(view, 4, 7), weights / 4)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    same(opacities(view, 4, 7), weights * torch.tensor([0, 0, 1, 0]).view(4, 1, 1))


def test_a_part_of_a_pair_shows_its_rows_and_columns(opened):
    page = opened()
    view = view_of(page, HEAD)
    view.locator(".bv-filter").select_option(label="first → second")
    found = view.locator(".bv-attention line").evaluate_all(
        "lines => lines.map(line => Number(line.getAttribute('stroke-opacity')))"
    )
    expected = random_weights(TOKENS, 0)[0, :, :SECOND_START, SECOND_START:] / 4
    same(torch.tensor(found), expected.flatten())
    assert view.locator(".bv-left text").all_text_contents() == TOKENS[:SECOND_START]
    assert view.locator(".bv-right text").all_text_contents() == TOKENS[SECOND_START:]


def test_a_picture_of_the_model_view_is_enlarged_by_click_or_select(opened):
    page = opened()
    view = view_of(page, MODEL)
    heading, chosen = view.locator("text.detail"), view.locator(".bv-detail")
    assert view.locator("[class^=bv-picture]").count() == 3 * 4
    view.locator(".bv-picture-1-2").click()
    assert heading.text_content() == "Layer 1, Head 2"
    assert chosen.input_value() == "1-2"
    drawn = view.locator(".attn-line-group line").evaluate_all(
        "lines => lines.map(line => Number(line.getAttribute('stroke-opacity')))"
    )
    same(torch.tensor(drawn), random_weights(TOKENS, 0)[1, 2].flatten())
    view.locator("g.detail .token").nth(3).hover()
    seen = view.locator(".attn-line-group").evaluate_all("gs => gs.map(g => +g.style.opacity)")
    assert seen == [0, 0, 0, 1, 0, 0, 0]
    chosen.select_option("2-0")
    assert heading.text_content() == "Layer 2, Head 0"
    heading.click()
    assert heading.count() == 0
    assert chosen.input_value() == ""
    # The select by keyboard.
    chosen.focus()
    page.keyboard.press("ArrowDown")
    assert heading.text_content() == "Layer 0, Head 0"
    view.locator(".bv-filter").select_option("1")
    assert heading.count() == 0
    assert chosen.input_value() == ""


def scores_in(view) -> torch.Tensor:
    found = view.locator(".bv-dotproducts rect").evaluate_all(
        "boxes => boxes.map(box => Number(box.dataset.value))"
    )
    return torch.tensor(found)


def test_the_neuron_view_computes_the_scores_of_the_token_pointed_at(opened):
    page = opened()
    view, again = view_of(page, NEURON), view_of(page, NEURON_AGAIN)
    queries, keys = random_vectors(2), random_vectors(3)
    expected = queries @ keys.transpose(-2, -1) / 8**0.5
    same(scores_in(view), expected[0, 0, 0])
    view.locator(".bv-expanded .bv-leftText text").nth(3).hover()
    same(scores_in(view), expected[0, 0, 3])
    same(scores_in(again), expected[0, 0, 0])
    assert view.locator(".bv-token").input_value() == "3"
    softmax = view.locator(".bv-expanded .bv-rightText .highlight").evaluate_all(
        "boxes => boxes.map(box => Number(box.style.opacity))"
    )
    same(torch.tensor(softmax), expected[0, 0, 3].softmax(-1))
    again.locator(".bv-layer").select_option("1")
    again.locator(".bv-att_head").select_option("2")
    again.locator(".bv-token").focus()
    page.keyboard.press("ArrowDown")
    same(scores_in(again), expected[1, 2, 1])
    same(scores_in(view), expected[0, 0, 3])


def test_the_neuron_view_folds_to_the_weights_and_back(opened):
    page = opened()
    view = view_of(page, NEURON)
    steps, weights = view.locator(".bv-expanded"), view.locator(".bv-collapsed")
    assert steps.is_visible()
    assert not weights.is_visible()
    view.locator(".bv-steps").select_option("weights")
    assert weights.is_visible()
    assert not steps.is_visible()
    weights.locator(".bv-leftText text").nth(1).hover()
    seen = weights.locator(".attn-line-group").evaluate_all("gs => gs.map(g => +g.style.opacity)")
    assert seen == [0, 1, 0, 0, 0]
    view.locator(".bv-steps").select_option("steps")
    assert steps.is_visible()


def test_markup_in_tokens_is_shown_and_not_run(opened):
    page = opened()
    for index, place in (
        (HEAD, ".bv-left text"),
        (MODEL, "g.detail .token"),
        (NEURON_MARKUP, ".bv-expanded .bv-leftText text"),
    ):
        view = view_of(page, index)
        if index == MODEL:
            view.locator(".bv-detail").select_option("0-0")
        shown = view.locator(place).all_text_contents()[: len(TOKENS)]
        assert shown == TOKENS
        assert view.locator(place, has_text=MARKUP).first.is_visible()
        assert view.locator("img").count() == 0
    assert page.evaluate("window.pwned") is None
    # A token is no formula either.
    page.wait_for_selector("mjx-container")
    assert page.locator(".attention-view mjx-container").count() == 0


CONTRASTS = """
view => [...view.querySelectorAll('svg text, svg tspan, label span, div')].filter(
  element => [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim())
).map(element => {
  const style = getComputedStyle(element);
  return element.namespaceURI.endsWith('svg') ? style.fill : style.color;
})
"""


@pytest.mark.parametrize("look", ["light", "dark"])
def test_views_are_dark_ink_on_a_light_card(look, opened):
    page = opened(look)
    for index in range(6):
        view = view_of(page, index)
        assert view.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
        inks = view.evaluate(CONTRASTS)
        assert len(inks) > 5
        for ink in inks:
            # 89 of 255 is a contrast of 7 on white.
            assert max(map(int, re.findall(r"\d+", ink)[:3])) <= 89, ink
        assert view.locator("select").first.evaluate("e => getComputedStyle(e).colorScheme") == (
            "light"
        )


def test_on_a_phone_views_scroll_inside_their_cards(opened):
    page = opened("phone")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for index in range(6):
        frame = view_of(page, index).locator(".bv-vis")
        right = frame.evaluate("e => e.getBoundingClientRect().right")
        assert right <= 390
        if index != HEAD_CHINESE:
            assert frame.evaluate("e => e.scrollWidth > e.clientWidth")
    view = view_of(page, NEURON)
    view.locator(".bv-rightText text").nth(1).scroll_into_view_if_needed()
    assert view.locator(".bv-vis").evaluate("e => e.scrollLeft") > 0


# A notebook: outputs are put into the page as JupyterLab does it, scripts made anew one by one.
NOTEBOOK = """
outputs => outputs.forEach(html => {
  const output = document.createElement("div");
  output.innerHTML = html;
  output.querySelectorAll("script").forEach(old => {
    const script = document.createElement("script");
    script.textContent = old.textContent;
    old.replaceWith(script);
  });
  setTimeout(() => document.body.append(output), Math.random() * 100);
})
"""
# What RequireJS gives a page, as far as a library and a view see it.
REQUIREJS = """
() => {
window.define = (...given) => {
  const exports = {};
  window.defined = given.pop()(exports) ?? exports;
};
window.define.amd = {};
window.requirejs = () => {};
window.requirejs.config = ({paths}) => async (names, done, failed) => {
  const libraries = [];
  for (const name of names) {
    await new Promise((loaded, failed) => {
      const script = document.createElement("script");
      Object.assign(script, {src: `${paths[name]}.js`, onload: loaded, onerror: failed});
      document.head.append(script);
    }).catch(failed);
    libraries.push(window.defined);
  }
  done(...libraries);
};
}
"""


@pytest.fixture
def notebook_page(browser) -> Iterator[object]:
    """A function that shows views as outputs of a notebook; the network can be cut."""
    page = browser.new_page()
    page.set_default_timeout(20_000)
    asked = []

    def answer(route) -> None:
        asked.append(route.request.url)
        file = route.request.url.rsplit("/", 1)[-1]
        folder = ROOT / "book" / "node_modules" / file.removesuffix(".min.js") / "dist"
        route.fulfill(path=folder / file, content_type="text/javascript")

    def show(
        outputs: list[str], *, network: bool = True, requirejs: bool = False, language: str = "en"
    ):
        page.route("**/*", answer if network else lambda route: route.abort())
        page.set_content(f"<!doctype html><html lang={language}><body></body></html>")
        if requirejs:
            page.evaluate(REQUIREJS)
        page.evaluate(NOTEBOOK, outputs)
        return page, asked

    yield show
    page.close()


@pytest.mark.parametrize("requirejs", [False, True])
def test_in_a_notebook_views_are_drawn_and_markup_is_not_run(requirejs, notebook_page):
    page, asked = notebook_page(list(views().values()), requirejs=requirejs)
    page.wait_for_function(DRAWN.format(6))
    hosts = {address.split("/")[2] for address in asked}
    assert hosts == {"cdnjs.cloudflare.com"}
    assert page.get_by_text(MARKUP, exact=True).count() >= 4
    assert page.locator("img").count() == 0
    assert page.evaluate("window.pwned") is None
    if not requirejs:
        assert len(asked) == 2
        assert page.evaluate("[typeof window.$, typeof window.jQuery]") == ["undefined"] * 2


def test_without_a_network_a_notebook_says_what_is_missing(notebook_page):
    page, _ = notebook_page(list(views().values())[:1], network=False)
    page.get_by_text("could not be loaded").wait_for()


def test_on_a_chinese_page_the_controls_speak_chinese(notebook_page):
    page, _ = notebook_page(list(views().values())[:1], language="zh-Hans")
    page.wait_for_function(DRAWN.format(1))
    assert page.get_by_label("层").count() == 1
    assert page.get_by_label("显示").locator("option").nth(3).text_content() == "第一句 → 第二句"
    assert page.get_by_text("Layer").count() == 0
