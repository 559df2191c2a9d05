"""Heat maps of attention draw the weights they are given, and any token as plain text."""

import io
import warnings
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text

from companion import plots
from companion.errors import SettingsError

TOKENS = ["[CLS]", "the", "tea", "[SEP]"]


def weights(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def panels_of(figure) -> list:
    return [axes for axes in figure.axes if axes.images]


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def rendered(figure, dpi: int = 60) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return plt.imread(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("heads", [1, 2, 7, 12])
def test_each_head_has_a_panel_with_its_weights_on_one_scale(heads):
    given = weights(heads, 4, 4)
    panels = panels_of(plots.attention_map(given, TOKENS))
    assert len(panels) == heads
    for head, panel in enumerate(panels):
        (image,) = panel.images
        np.testing.assert_allclose(image.get_array(), given[head], atol=1e-6)
        assert image.get_clim() == pytest.approx((0, given.max().item()))
        assert panel.get_title(loc="left") == (f"head {head}" if heads > 1 else "")


def test_rows_are_labelled_left_columns_below_and_the_colours_beside():
    figure = plots.attention_map(weights(2, 4, 4), TOKENS, title="Layer 3")
    left, right = panels_of(figure)
    assert labels(left.yaxis) == labels(left.xaxis) == labels(right.xaxis) == TOKENS
    assert figure.get_suptitle() == "Layer 3"
    assert figure.get_supxlabel() == "token looked at (key)"
    assert figure.get_supylabel() == "token that looks (query)"
    assert [axes.get_ylabel() for axes in figure.axes if axes not in (left, right)] == [
        "attention weight"
    ]


def test_panels_without_one_below_name_their_columns_too():
    panels = panels_of(plots.attention_map(weights(5, 4, 4), TOKENS))
    named = [any(tick.label1.get_visible() for tick in p.xaxis.get_major_ticks()) for p in panels]
    assert named == [False, False, True, True, True]


def test_one_text_of_a_batch_a_gradient_and_half_precision_are_accepted():
    given = weights(1, 2, 4, 4).bfloat16().requires_grad_()
    panels = panels_of(plots.attention_map(given, TOKENS))
    np.testing.assert_array_equal(panels[1].images[0].get_array(), given[0, 1].detach().float())
    assert len(panels_of(plots.attention_map(given[0, 0].tolist(), TOKENS))) == 1


def test_few_tokens_have_their_numbers_written_and_many_have_not():
    three = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    (panel,) = panels_of(plots.attention_map(three, ["a", "b", "c"]))
    written = [text.get_text() for text in panel.texts]
    assert written == [f"{value:.2f}" for value in three.flatten()]
    (panel,) = panels_of(plots.attention_map(weights(30, 30), ["x"] * 30))
    assert not panel.texts
    (panel,) = panels_of(plots.attention_map(three, ["a", "b", "c"], numbers=False))
    assert not panel.texts


def test_scores_with_a_sign_have_a_scale_about_zero():
    figure = plots.attention_map([[1.0, -3.0], [2.0, 0.0]], ["a", "b"], label="score")
    (panel,) = panels_of(figure)
    assert panel.images[0].get_clim() == (-3, 3)
    assert figure.axes[-1].get_ylabel() == "score"


def test_columns_may_be_other_tokens_and_panels_have_names():
    figure = plots.attention_map(
        weights(2, 4, 3), TOKENS, keys=["x", "y", "z"], names=["before", "after"]
    )
    first, second = panels_of(figure)
    assert labels(first.xaxis) == ["x", "y", "z"]
    assert labels(first.yaxis) == TOKENS
    assert second.get_title(loc="left") == "after"


@pytest.mark.skipif(plots.chinese_family() is None, reason="no font with Chinese signs")
def test_tokens_are_text_whatever_they_hold():
    tokens = ["$x_1$", "a_b", "\\alpha", "房", "line\nend", "$", "<img src=x onerror=alert(1)>"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.attention_map(weights(7, 7), tokens)
        rendered(figure)
    (panel,) = panels_of(figure)
    shown = labels(panel.yaxis)
    assert shown[:4] == tokens[:4]
    assert shown[4] == "line\\nend"
    assert shown[6].startswith("<img src=x")
    assert len(shown[6]) == 16
    assert not any(label.get_parse_math() for label in panel.get_yticklabels())


@pytest.mark.parametrize(("heads", "count"), [(1, 1), (2, 26), (12, 40)])
def test_labels_are_legible_inside_the_figure_and_do_not_overlap(heads, count):
    tokens = [f"word{i}" if i % 3 else "房间" for i in range(count)]
    figure = plots.attention_map(weights(heads, count, count), tokens)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width <= 12
    assert height <= 14
    page = figure.bbox
    for text in figure.findobj(Text):
        if not (text.get_visible() and text.get_text().strip()):
            continue
        assert text.get_fontsize() >= 6
    for panel in panels_of(figure):
        for axis, side in ((panel.xaxis, "x"), (panel.yaxis, "y")):
            boxes = [
                label.get_window_extent()
                for label in axis.get_ticklabels()
                if label.get_visible() and label.get_text()
            ]
            for box in boxes:
                assert page.x0 <= box.x0 <= box.x1 <= page.x1
                assert page.y0 <= box.y0 <= box.y1 <= page.y1
            starts = sorted((getattr(b, f"{side}0"), getattr(b, f"{side}1")) for b in boxes)
            for (_, end), (start, _) in pairwise(starts):
                # Glyphs are lower than the line that Matplotlib counts for them.
                assert start >= end - 0.45 * 6 * figure.dpi / 72


def test_the_figure_stands_on_its_light_card():
    pixels = rendered(plots.attention_map(weights(4, 4), TOKENS))
    assert pixels[0, 0, :3].min() > 0.95
    assert mpl.colors.to_hex(pixels[0, 0, :3]) == plots.CARD
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (weights(4, 3), {}, r"shape \(4, 3\), but there are 4 tokens .* \(4, 4\)"),
        (weights(2, 3, 4, 4), {}, r"shape \(2, 3, 4, 4\)"),
        (weights(4), {}, "shape"),
        (weights(0, 4, 4), {}, "shape"),
        (weights(3, 4, 4), {"names": ["a"]}, "1 panel names for 3 heads"),
        (weights(4, 4) * float("nan"), {}, "no finite number"),
        (weights(4, 4), {"keys": ["a"]}, "4 tokens for the rows and 1 for the columns"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(given, options, sentence):
    with pytest.raises(SettingsError, match=sentence):
        plots.attention_map(given, TOKENS, **options)
