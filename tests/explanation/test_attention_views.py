"""The views hold the numbers and tokens they were given, refuse what they cannot show, and say why.

How they look and answer in a browser is tested in tests/site/test_attention_views.py.
"""

import json
import re
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import CompanionError, SettingsError
from companion.explanation import bertviz_script, head_view, model_view, neuron_view
from companion.model import BertConfig, BertModel, scaled_dot_product_attention

TOKENS = ["[CLS]", "房", "tea", "[SEP]"]


def data_of(view) -> dict:
    """The data in a view's script, as a browser reads it."""
    (written,) = re.findall(r"^const data = (.*);$", view.data, flags=re.MULTILINE)
    return json.loads(written)


def shown(data: dict, name: str) -> torch.Tensor:
    return torch.tensor(data[name], dtype=torch.float64) / data["unit"]


def weights(layers=2, heads=3, tokens=4, seed=0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(layers, heads, tokens, tokens, generator=generator).softmax(-1)


def vectors(seed: int, layers=2, heads=3, tokens=4, width=5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(layers, heads, tokens, width, generator=generator)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99))
def test_weights_of_every_layer_head_and_token_arrive_to_four_decimals(layers, heads, count, seed):
    given_ = weights(layers, heads, count, seed)
    tokens = [f"t{i}" for i in range(count)]
    for view in (head_view, model_view):
        data = data_of(view(list(given_), tokens))
        torch.testing.assert_close(shown(data, "weights"), given_.double(), atol=5.1e-5, rtol=0)
        assert data["tokens"] == tokens


@pytest.mark.parametrize(
    "form",
    [
        lambda w: tuple(w),
        lambda w: [layer[None] for layer in w],
        lambda w: w.numpy(),
        lambda w: [layer.clone().requires_grad_() for layer in w],
        lambda w: w.tolist(),
    ],
    ids=["tuple", "batch of one", "numpy", "with gradient", "lists"],
)
def test_any_form_of_the_same_numbers_makes_the_same_view(form):
    expected = data_of(head_view(list(weights()), TOKENS))
    assert data_of(head_view(form(weights()), TOKENS)) == expected


def test_weights_of_the_book_s_model_go_in_as_they_come_out():
    model = BertModel(BertConfig.tiny(vocab_size=30)).eval()
    with torch.no_grad():
        output = model(torch.tensor([[2, 7, 9, 3]]), output_attentions=True)
    data = data_of(head_view(output.attentions, TOKENS))
    rows = shown(data, "weights").sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-3, rtol=0)


def test_half_precision_and_scores_that_are_no_weights_can_be_shown():
    scores = torch.tensor([[[-2.5, 8.0], [0.25, 0.0]]], dtype=torch.bfloat16)
    data = data_of(head_view([scores], ["a", "b"]))
    assert shown(data, "weights").tolist() == [[[[-2.5, 8.0], [0.25, 0.0]]]]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_the_neuron_view_holds_vectors_and_the_weights_of_the_model_s_formula(count, width, seed):
    queries = vectors(seed, tokens=count, width=width)
    keys = vectors(seed + 1, tokens=count, width=width)
    data = data_of(neuron_view(queries, keys, ["x"] * count))
    _, expected = scaled_dot_product_attention(queries.double(), keys.double(), keys.double())
    torch.testing.assert_close(shown(data, "weights"), expected, atol=5.1e-5, rtol=0)
    torch.testing.assert_close(shown(data, "queries"), queries.double(), atol=5.1e-5, rtol=0)
    torch.testing.assert_close(shown(data, "keys"), keys.double(), atol=5.1e-5, rtol=0)


def test_full_colour_in_the_neuron_view_stands_for_the_largest_value_of_its_kind():
    queries = torch.tensor([[[1.0, -4.0], [2.0, 0.0]]])
    keys = torch.tensor([[[3.0, 0.5], [-1.0, 1.0]]])
    largest = data_of(neuron_view([queries], [keys], ["a", "b"]))["largest"]
    assert largest["vectors"] == 4
    assert largest["products"] == 2 * 3
    assert largest["scores"] == pytest.approx(6 / 2**0.5, abs=1e-4)
    nothing = data_of(neuron_view([queries * 0], [keys * 0], ["a", "b"]))["largest"]
    assert all(value > 0 for value in nothing.values())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_token_comes_back_as_it_was_and_cannot_leave_the_script(tokens):
    given_ = weights(1, 1, len(tokens))
    for view in (head_view(given_, tokens), model_view(given_, tokens)):
        written = view.data.split("const data = ")[1].split("\n")[0]
        assert not re.search(r"[<>&\u2028\u2029]|[^\x00-\x7f]", written)
        assert data_of(view)["tokens"] == tokens


@pytest.mark.parametrize(
    "token",
    [
        "<img src=x onerror=window.pwned=1>",
        "</script><script>alert(1)</script>",
        "<!--",
        "]]>",
        "__DRAWING__",
        "\ud800",
        "a\u2028b",
        '"\\',
    ],
)
def test_a_token_that_looks_like_markup_stays_text(token):
    tokens = [token, "b"]
    queries = vectors(0, 1, 1, 2)
    given_ = weights(1, 1, 2)
    views = [
        head_view(given_, tokens, 1),
        model_view(given_, tokens, 1),
        neuron_view(queries, queries, tokens),
    ]
    for view in views:
        assert data_of(view)["tokens"] == tokens
        assert view.data.count("</script>") == 1
        soup = BeautifulSoup(view.data, "html.parser")
        assert not soup.find_all("img")
        assert len(soup.find_all("script")) == 1


def test_a_very_long_token_is_cut_with_a_sign_that_says_so():
    (token,) = data_of(head_view(weights(1, 1, 1), ["x" * 500]))["tokens"]
    assert token.endswith("…")
    assert len(token) == 40


def test_ids_are_new_for_each_view_and_the_same_in_a_new_run():
    def ids(*views):
        return [tag["id"] for v in views for tag in BeautifulSoup(v.data, "html.parser")(id=True)]

    given_ = weights(seed=77)
    first = ids(head_view(given_, TOKENS), head_view(given_, TOKENS), model_view(given_, TOKENS))
    assert len(set(first)) == 3
    bertviz_ids = re.compile(r"bertviz-[0-9a-f]{12}-\d+")
    assert all(bertviz_ids.fullmatch(one) for one in first)
    assert first[0].rsplit("-", 1)[0] == first[1].rsplit("-", 1)[0]
    assert (first[0][-2:], first[1][-2:]) == ("-1", "-2")


def test_choices_shown_first_are_those_asked_for():
    data = data_of(head_view(weights(), TOKENS, 2, layer=1, heads=[0, 2]))
    assert (data["layer"], data["heads"], data["second_start"]) == (1, [0, 2], 2)
    data = data_of(neuron_view(vectors(0), vectors(1), TOKENS, layer=1, head=2))
    assert (data["layer"], data["head"]) == (1, 2)


def test_only_a_pair_of_texts_is_offered_in_parts():
    for view in (head_view, model_view):
        assert "first → second" in view(weights(), TOKENS, 2).data
        assert "first → second" not in view(weights(), TOKENS).data


def test_every_choice_has_a_label_to_be_read_aloud():
    views = [
        head_view(weights(), TOKENS, 2),
        model_view(weights(), TOKENS, 2),
        neuron_view(vectors(0), vectors(1), TOKENS),
    ]
    for view in views:
        for select in BeautifulSoup(view.data, "html.parser").find_all("select"):
            assert select.find_parent("label").span.get_text(strip=True)


def test_a_page_sized_view_is_small_and_one_of_bert_base_fits_a_notebook():
    assert len(head_view(weights(4, 4, 16), ["token"] * 16).data) < 40_000
    assert len(model_view(weights(12, 12, 32), ["token"] * 32).data) < 900_000


NAN = torch.tensor([[[float("nan"), 0.0], [0.5, 0.5]]])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: head_view(weights(), TOKENS[:3]), r"\(3, 4, 4\), but there are 3 tokens"),
        (lambda: head_view(weights()[0], TOKENS), r"shape \(4, 4\), but .* for each layer"),
        (lambda: head_view([weights(1, 2, 4)[0, :, :2]], TOKENS), r"\(heads, 4, 4\)"),
        (lambda: head_view([torch.rand(3, 2, 4, 4)], TOKENS), "so holds 3 texts"),
        (lambda: head_view([], TOKENS), "holds no layer"),
        (lambda: head_view([torch.rand(0, 4, 4)], TOKENS), "shape"),
        (lambda: head_view([torch.rand(2, 4, 4), torch.rand(3, 4, 4)], TOKENS), "of one shape"),
        (lambda: head_view([NAN], ["a", "b"]), r"attentions\[0\].*NaN"),
        (lambda: model_view([NAN / 0], ["a", "b"]), "no finite number"),
        (lambda: head_view(weights(), "text"), "not one text or ids"),
        (lambda: head_view(weights(), [1, 2, 3, 4]), "not one text or ids"),
        (lambda: head_view(weights(), []), "There are 0 tokens"),
        (lambda: model_view(weights(1, 1, 65), ["t"] * 65), "65 tokens; a view shows 1 to 64"),
        (lambda: model_view(weights(12, 12, 40), ["t"] * 40), "230,400 numbers.*Pass fewer layers"),
        (lambda: head_view(weights(), TOKENS, layer=2), "no layer 2: .* 0 to 1"),
        (lambda: head_view(weights(), TOKENS, layer=-1), "no layer -1"),
        (lambda: head_view(weights(), TOKENS, heads=[0, 3]), "no head 3"),
        (lambda: head_view(weights(), TOKENS, heads=[]), "`heads` is empty"),
        (lambda: head_view(weights(), TOKENS, 4), "one of the tokens 1 to 3"),
        (lambda: model_view(weights(), TOKENS, 0), "`second_start` is 0"),
        (lambda: neuron_view(vectors(0), vectors(1, width=6), TOKENS), "expected the same"),
        (lambda: neuron_view(vectors(0), vectors(1), TOKENS[:2]), r"\(heads, 2, head width\)"),
        (lambda: neuron_view(vectors(0), vectors(1), TOKENS, head=3), "no head 3"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(SettingsError, match=sentence):
        call()


def test_without_bertviz_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(bertviz_script, "find_spec", lambda name: None)
    bertviz_script.drawing.cache_clear()
    with pytest.raises(CompanionError, match="`pip install bertviz`"):
        head_view(weights(), TOKENS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BOXWIDTH", "BOX_WIDTH"),
        ("requirejs(['jquery'", "load(['jquery'"),
        ('.select("#attention")', '.selectAll("#attention")'),
    ],
)
def test_another_version_of_bertviz_is_refused_and_not_half_used(old, new, monkeypatch, tmp_path):
    source = Path(bertviz_script.find_spec("bertviz").origin).with_name("head_view.js")
    code = source.read_text()
    assert old in code
    (tmp_path / "head_view.js").write_text(code.replace(old, new))
    spec = ModuleSpec("bertviz", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(bertviz_script, "find_spec", lambda name: spec)
    bertviz_script.drawing.cache_clear()
    with pytest.raises(CompanionError, match=r"pip install bertviz==1\.4\.1"):
        head_view(weights(), TOKENS)


def test_a_notebook_shows_a_view_as_html():
    view = head_view(np.asarray(weights()), TOKENS)
    assert view._repr_html_().startswith("<div id=")
