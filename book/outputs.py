"""Outputs fit to be stored: what is swept away, and what a stored notebook must not hold."""

import base64
import io
import re
from collections.abc import Iterator
from copy import deepcopy

import nbformat
from nbformat import NotebookNode
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"
MAX_BYTES = 1_000_000
# tqdm's bars and counters, and rich's bars.
PROGRESS_LINE = re.compile(r"\d+%\|.*\||\d\w* \[\d+:\d\d[<,]|━{5,}")
# The Trainer draws its bar in HTML, above a table worth keeping.
PROGRESS_HTML = re.compile(r"<progress\b.*?</progress>\s*(\[[^\]]*\])?", re.DOTALL)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Folders where somebody's files lie: personal, temporary, a container's, a virtual environment's.
FOLDERS = "home|Users|root|tmp|work|workspace|content|private|var|mnt|opt"
MACHINE_PATH = re.compile(
    rf"(?<![\w.~/-])/(?:{FOLDERS})/[\w.~-]+|\b[A-Z]:\\\w|site-packages/|ipykernel_\d+"
)
LOCAL_ADDRESS = re.compile(r"\b(?:127\.0\.0\.1|localhost|192\.168\.\d+\.\d+|10\.\d+\.\d+\.\d+):\d+")
WARNING = re.compile(r"\b\w*Warning:|\[WARNING|WARNING:")
MEMORY_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-f]+>")
KEPT_METADATA = {"companion", "kernelspec", "language_info"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def tidy_text(text: str, names: dict[str, str]) -> str:
    """Plain text as a terminal would have left it, without progress bars and local paths."""
    for folder, name in names.items():
        text = text.replace(folder, name)
    lines = ESCAPES.sub("", text).split("\n")
    shown = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
    kept = [line for line in shown if not PROGRESS_LINE.search(line)]
    return "\n".join(kept)


def take_outputs(source: NotebookNode, target: NotebookNode) -> None:
    """Give the code cells of `target` the outputs of those of `source`, in their order."""
    target.metadata.language_info = source.metadata.language_info
    from_cells = [cell for cell in source.cells if cell.cell_type == "code"]
    to_cells = [cell for cell in target.cells if cell.cell_type == "code"]
    for old, new in zip(from_cells, to_cells, strict=True):
        new.outputs = deepcopy(old.outputs)
        new.execution_count = old.execution_count


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join the pieces in which a kernel happened to send one text."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def tidy(notebook: NotebookNode, names: dict[str, str]) -> None:
    """Remove widgets, progress bars and an editor's own metadata, in place.

    `names` maps a folder of this machine to what the page shows in its stead.
    """
    for key in set(notebook.metadata) - KEPT_METADATA:
        del notebook.metadata[key]
    notebook.metadata.kernelspec = KERNEL
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if tidy_output(output, names)]
            cell.outputs = merge_streams(kept)  # of what stood before and after a bar


def tidy_output(output: NotebookNode, names: dict[str, str]) -> bool:
    """Tidy one output in place; False where nothing of it remains."""
    if output.output_type == "stream":
        output.text = tidy_text(output.text, names)
        return bool(output.text.strip())
    data = output.get("data", {})
    if WIDGET in data:
        return False
    for mime in data:
        if mime == "text/html":
            for folder, name in names.items():
                data[mime] = data[mime].replace(folder, name)
            data[mime] = PROGRESS_HTML.sub("", data[mime])
        elif mime.startswith("text/"):
            data[mime] = tidy_text(data[mime], names)
        elif mime == "image/png":
            data[mime] = smaller_png(data[mime])
    return output.output_type != "display_data" or any(str(v).strip() for v in data.values())


def smaller_png(content: str) -> str:
    """The same picture, dot by dot, in fewer bytes where that is possible; base64 both ways."""
    raw = base64.b64decode(content)
    with Image.open(io.BytesIO(raw)) as picture:
        opaque = picture.mode == "RGBA" and picture.getextrema()[3][0] == 255
        packed = io.BytesIO()
        (picture.convert("RGB") if opaque else picture).save(packed, "png", optimize=True)
    return base64.b64encode(min(raw, packed.getvalue(), key=len)).decode()


def texts(output: NotebookNode) -> Iterator[str]:
    """The parts of an output that a reader sees as text."""
    if output.output_type == "stream":
        yield output.text
    for mime, content in output.get("data", {}).items():
        if mime.startswith("text/"):
            yield content


def output_problems(notebook: NotebookNode) -> list[str]:
    """Sentences on what a stored notebook must not hold; empty when it may be stored."""
    problems = []
    code = [(n, c) for n, c in enumerate(notebook.cells, start=1) if c.cell_type == "code"]
    wrong = [
        f"cell {number} was run as number {cell.execution_count}, expected {count}"
        for count, (number, cell) in enumerate(code, start=1)
        if cell.execution_count != count
    ]
    if wrong:
        problems.append(
            f"{wrong[0]} ({len(wrong)} of {len(code)} cells are out of order): a stored chapter is "
            "one run from top to bottom; make it with `make chapters`"
        )
    for number, cell in code:
        for output in cell.outputs:
            problems += [f"cell {number} {what}" for what in one_output_problems(output)]
    size = len(nbformat.writes(notebook).encode("utf-8"))
    if size > MAX_BYTES:
        problems.append(f"the notebook has {size:,} bytes, more than {MAX_BYTES:,}")
    return problems


def one_output_problems(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"ended with {output.ename}: {output.evalue}"
        return
    if output.output_type == "stream" and output.name == "stderr":
        yield f"wrote on standard error: {output.text.strip()[:200]!r}"
    if WIDGET in output.get("data", {}):
        yield "shows a widget, which a page cannot"
    for text in texts(output):
        for pattern, what in (
            (MACHINE_PATH, "shows a path of one machine"),
            (LOCAL_ADDRESS, "shows an address of one machine"),
            (WARNING, "shows a warning"),
        ):
            found = pattern.search(text)
            if found:
                yield f"{what}: {found.group()!r}"
    data = output.get("data", {})
    if set(data) == {"text/plain"} and MEMORY_ADDRESS.search(data["text/plain"]):
        yield f"shows an object's address, {data['text/plain'][:60]!r}; end its line with ';'"
