"""Figures draw the numbers they are given, say what they show, and have the signs to say it."""

import io
import warnings
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib.text import Text

from companion import plots
from companion.errors import SettingsError

NEEDS_CHINESE = pytest.mark.skipif(
    plots.chinese_family() is None, reason="no font with Chinese signs is installed"
)
RECORDS = [
    {"kind": "train", "step": s, "loss": 2.0 / s, "learning_rate": 0.1 * s} for s in range(1, 41)
] + [
    {"kind": "eval", "step": 20, "dev_loss": 0.5, "dev_accuracy": 0.75},
    {"kind": "eval", "step": 40, "dev_loss": 0.4, "dev_accuracy": 0.875},
]


def history(records=RECORDS):
    return SimpleNamespace(records=records)


def every_figure(name="hotel"):
    return [
        plots.training_curves(history(), title=name),
        plots.confusion_matrix([[3, 1], [0, 4]], [name, "other"]),
        plots.length_histogram({name: [1, 2, 3], "dev": [4]}, limit=3),
        plots.intervals([name, "b"], [90, 80], [88, 77], [91, 83], baseline=85),
    ]


def rendered(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_every_figure_has_a_title_named_axes_and_no_window():
    for figure in every_figure():
        assert figure.get_suptitle() or figure.axes[0].get_title(loc="left") is not None
        panel = figure.axes[0]
        assert panel.get_xlabel()
        assert "hotel" in {text.get_text().split(" (")[0] for text in figure.findobj(Text)}
        assert not plt.fignum_exists(getattr(figure, "number", -1))
    assert plt.get_fignums() == []


def test_every_figure_stands_on_a_light_card_that_is_not_transparent():
    for figure in every_figure():
        pixels = plt.imread(io.BytesIO(rendered(figure)))
        assert pixels[0, 0, :3].min() > 0.95
        assert pixels[..., 3].min() == 1


def test_curves_draw_the_recorded_numbers():
    loss, accuracy, rate = plots.training_curves(history()).axes
    each, mean, dev = loss.get_lines()
    np.testing.assert_allclose(each.get_xydata(), [(s, 2 / s) for s in range(1, 41)])
    np.testing.assert_allclose(mean.get_xydata()[0], (2, 1.5))
    np.testing.assert_allclose(dev.get_xydata(), [(20, 0.5), (40, 0.4)])
    np.testing.assert_allclose(accuracy.get_lines()[0].get_xydata(), [(20, 75), (40, 87.5)])
    np.testing.assert_allclose(rate.get_lines()[0].get_ydata(), [0.1 * s for s in range(1, 41)])
    assert [panel.get_ylabel() for panel in (loss, accuracy, rate)] == [
        "cross-entropy (nats)",
        "accuracy (%)",
        "learning rate",
    ]


def test_curves_leave_out_what_was_not_recorded():
    rows = [{"kind": "train", "step": 1, "loss": 0.5}]
    (loss,) = plots.training_curves(history(rows)).axes
    assert len(loss.get_lines()) == 2
    with pytest.raises(SettingsError, match="no update to draw"):
        plots.training_curves(history([]))


def test_the_confusion_matrix_shows_counts_and_the_shares_of_each_row():
    figure = plots.confusion_matrix([[30, 10], [0, 1200]], ["low", "high"])
    panel = figure.axes[0]
    assert [text.get_text() for text in panel.texts] == ["30", "10", "0", "1,200"]
    np.testing.assert_allclose(panel.images[0].get_array(), [[75, 25], [0, 100]])
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["low", "high"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted label", "true label")


def test_a_label_without_texts_has_no_share_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.confusion_matrix([[0, 0], [1, 1]], ["a", "b"])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array()[0], 0)


def test_a_matrix_that_does_not_fit_its_labels_is_refused():
    with pytest.raises(SettingsError, match=r"shape \(2, 2\), but there are 3 labels"):
        plots.confusion_matrix([[1, 2], [3, 4]], ["a", "b", "c"])


def test_the_histogram_holds_every_text_and_counts_what_the_limit_cuts():
    lengths = {"train": [5] * 6 + [300, 9], "dev": [7, 8]}
    panel = plots.length_histogram(lengths, limit=128, unit="characters").axes[0]
    for patch in panel.patches:
        heights = patch.get_xy()[:, 1]
        tops = heights[1:-1:2]
        assert tops.sum() == pytest.approx(100)
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    assert names[0].startswith("train (8 texts)")
    assert "limit 128: 10.0% are longer" in names
    assert panel.get_xlabel() == "length (characters)"
    with pytest.raises(SettingsError, match="no text"):
        plots.length_histogram({"train": []})


def test_intervals_are_drawn_from_top_to_bottom_with_the_baseline():
    figure = plots.intervals(
        ["BERT", "SVM"], [94, 92], [93, 90.5], [95, 93], baseline=92.67, baseline_name="TF-IDF"
    )
    panel = figure.axes[0]
    ends = [segment[:, 0].tolist() for segment in panel.collections[0].get_segments()]
    assert ends == [[93, 95], [90.5, 93]]
    dots, line = panel.get_lines()
    assert dots.get_xdata().tolist() == [94, 92]
    assert list(line.get_xdata()) == [92.67, 92.67]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    assert figure.legends[0].get_texts()[0].get_text() == "TF-IDF (92.67)"
    with pytest.raises(SettingsError, match="2 names, 1 values"):
        plots.intervals(["a", "b"], [1], [0, 0], [2, 2])


@NEEDS_CHINESE
def test_chinese_is_drawn_with_its_signs():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [rendered(figure) for figure in every_figure("酒店：很好")]
        # A font without the signs would draw the same box for each of them.
        others = [rendered(figure) for figure in every_figure("房间，不大")]
    assert all(one != other for one, other in zip(pictures, others, strict=True))


def test_without_a_chinese_font_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("companion.plots.theme.chinese_family", lambda: None)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        figure = plots.confusion_matrix([[1, 0], [0, 1]], ["好", "差"])
        rendered(figure)
    assert len(seen) == 1
    assert "fonts-noto-cjk" in str(seen[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendered(plots.confusion_matrix([[1, 0], [0, 1]], ["good", "bad"]))


def test_the_style_reaches_the_reader_s_own_figures():
    with mpl.rc_context():
        plots.use_style()
        figure, panel = plt.subplots()
        (line,) = panel.plot([1, 2])
        plt.close(figure)
        assert line.get_color() == plots.BLUE
        assert mpl.colors.to_hex(figure.get_facecolor()) == plots.CARD


def test_neighbouring_colours_differ_in_brightness_or_hue_for_every_colour_vision():
    # Simulated red-green blindness (Viénot 1999) in linear RGB; distances in the same space.
    protan = np.array([[0.112, 0.888, 0.0], [0.112, 0.888, 0.0], [0.004, -0.004, 1.0]])
    deutan = np.array([[0.293, 0.707, 0.0], [0.293, 0.707, 0.0], [-0.022, 0.022, 1.0]])
    colours = np.array([mpl.colors.to_rgb(colour) for colour in plots.PALETTE]) ** 2.2
    for sight in (np.eye(3), protan, deutan):
        seen = colours @ sight.T
        gaps = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert gaps[~np.eye(len(seen), dtype=bool)].min() > 0.1


def test_a_notebook_shows_the_figure_that_ends_a_cell_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    ours = "from companion import plots\n\nplots.intervals(['a'], [90], [88], [91])"
    own = "import matplotlib.pyplot as plt\n\nfigure, axes = plt.subplots()"
    cells = [nbformat.v4.new_code_cell(source) for source in (ours, own)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.execute(notebook, kernel_name="python3")
    # Ours comes first: it loads the backend, and must leave it switched on for the reader's own.
    for cell, kind in zip(cells, ("execute_result", "display_data"), strict=True):
        (output,) = cell.outputs
        assert output.output_type == kind
        assert "image/png" in output.data
