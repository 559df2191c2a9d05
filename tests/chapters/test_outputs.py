"""What is swept out of a stored notebook, and what keeps it from being stored."""

import base64
import copy
import io

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_output
from outputs import MAX_BYTES, WIDGET, output_problems, smaller_png, tidy
from PIL import Image


@pytest.fixture
def notebook(stored):
    return nbformat.read(stored, as_version=4)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def show(**data):
    mimes = {key.replace("_", "/", 1): value for key, value in data.items()}
    return new_output("display_data", data=mimes)


def tidied(notebook, *outputs):
    notebook.cells[3].outputs = list(outputs)
    tidy(notebook, {"/some/folder/": "", "/some/data": "$COMPANION_DATA"})
    return notebook.cells[3].outputs


@pytest.mark.parametrize(
    "bar",
    [
        "100%|██████████| 10/10 [00:01<00:00,  7.1it/s]",
        "Map:  37%|███▋      | 370/1000 [00:00<00:01, 512 examples/s]",
        "Loading weights: 0it [00:00, ?it/s]",
        "Epoch 1 ━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:00:12",
        "\x1b[35mEpoch 1 ━━━━━━━━━━━━━━╸━━━━━━━━ 50% 0:00:12",
    ],
)
def test_progress_bars_are_swept_away_and_results_stay(notebook, bar):
    outputs = tidied(notebook, stream(f"{bar}\r{bar}\n", "stderr"), stream(f"{bar}\nloss 0.35\n"))
    assert [output.text for output in outputs] == ["loss 0.35\n"]


@pytest.mark.parametrize("line", ["accuracy 37% | 10 runs", "[00:01] first", "0 1 2", "━━ part ━━"])
def test_lines_that_only_resemble_a_bar_stay(notebook, line):
    assert tidied(notebook, stream(line + "\n"))[0].text == line + "\n"


def test_a_text_that_came_in_pieces_is_one_again(notebook):
    bar = stream("Map: 100%|███| 3/3 [00:00<00:00]\n", "stderr")
    outputs = tidied(notebook, stream("a"), bar, stream("b\n"), show(text_plain="1"), stream("c\n"))
    assert [output.get("text") for output in outputs] == ["ab\n", None, "c\n"]


def test_what_was_overwritten_on_a_line_does_not_show(notebook):
    assert tidied(notebook, stream("step 1\rstep 2\r\nend\r\n"))[0].text == "step 2\nend\n"


def dots(content):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))


@pytest.mark.parametrize("background", ["white", "#12345680"])
def test_pictures_are_stored_in_fewer_bytes_and_look_the_same(background):
    figure, axes = plt.subplots(facecolor=background)
    axes.plot(np.sin(np.arange(100)))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    before = base64.b64encode(file.getvalue()).decode()
    after = smaller_png(before)
    assert len(after) < len(before)
    assert np.array_equal(dots(after), dots(before))
    assert smaller_png(after) == after


def test_widgets_go_and_with_them_the_editor_s_metadata(notebook):
    notebook.metadata["widgets"] = {"state": {}}
    notebook.metadata["papermill"] = {"duration": 1}
    outputs = tidied(notebook, show(**{"text_plain": "0%", WIDGET.replace("/", "_", 1): {}}))
    assert outputs == []
    assert set(notebook.metadata) == {"companion", "kernelspec", "language_info"}


def test_the_trainer_s_bar_goes_and_its_table_stays(notebook):
    html = "<div><progress value='3' max='3'></progress> [3/3 00:12]</div><table>0.35</table>"
    (output,) = tidied(notebook, show(text_html=html))
    assert output.data["text/html"] == "<div></div><table>0.35</table>"


def test_folders_of_this_machine_become_names(notebook):
    outputs = tidied(
        notebook,
        stream("/some/folder/runs/a.csv from /some/data/sst2\n"),
        show(text_html="<b>/some/folder/runs</b>"),
    )
    assert outputs[0].text == "runs/a.csv from $COMPANION_DATA/sst2\n"
    assert outputs[1].data["text/html"] == "<b>runs</b>"


def test_a_stored_run_has_no_problems(notebook):
    assert output_problems(notebook) == []


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (new_output("error", ename="ValueError", evalue="no", traceback=[]), "ended with ValueErr"),
        (stream("Some weights were not used\n", "stderr"), "wrote on standard error"),
        (stream("UserWarning: look out\n"), "shows a warning: 'UserWarning:'"),
        (stream("saved to /home/ann/model\n"), "shows a path of one machine"),
        (stream("saved to /content/model\n"), "shows a path of one machine"),
        (stream("saved to C:\\data\n"), "shows a path of one machine"),
        (show(text_html="<i>/tmp/ipykernel_12/3.py</i>"), "shows a path of one machine"),
        (stream("open http://127.0.0.1:8888\n"), "shows an address of one machine"),
        (show(**{WIDGET.replace("/", "_", 1): {}}), "shows a widget"),
        (show(text_plain="[<Line2D at 0x7f12ab>]"), "shows an object's address"),
        (show(image_png="A" * MAX_BYTES), "more than 1,000,000"),
    ],
)
def test_what_a_page_must_not_show_is_named_with_its_cell(notebook, output, problem):
    notebook.cells[3].outputs.append(output)
    (found,) = output_problems(notebook)
    assert problem in found
    assert found.startswith(("cell 4 ", "the notebook has "))


@pytest.mark.parametrize(
    "text",
    [
        "see https://huggingface.co/home/models and ~/notes",
        "and/or, 3/4, runs/model, /2",
        "loss 10.0.0 at 12:30",
        "no warnings",
    ],
)
def test_ordinary_text_is_no_problem(notebook, text):
    notebook.cells[3].outputs.append(stream(text))
    assert output_problems(notebook) == []


def test_a_rich_view_may_have_an_address_in_its_plain_text(notebook):
    notebook.cells[3].outputs.append(show(text_plain="<Report at 0x7f>", text_html="<b>5</b>"))
    assert output_problems(notebook) == []


def test_cells_run_out_of_order_twice_or_not_at_all_are_found(notebook):
    for count in (None, 9):
        changed = copy.deepcopy(notebook)
        changed.cells[3].execution_count = count
        assert any(f"cell 4 was run as number {count}" in p for p in output_problems(changed))
