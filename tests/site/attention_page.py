"""A page of attention views, made by the code as it is now, as a chapter would hold them."""

import nbformat
import torch
from nbformat import NotebookNode, v4

from companion.explanation import head_view, model_view, neuron_view

MARKUP = "<img src=x onerror=window.pwned=1>"
TOKENS = ["[CLS]", "great", "cast", MARKUP, "</script>", "$x$", "[SEP]"]
CHINESE = ["[CLS]", "房", "间", "小", "[SEP]"]
SECOND_START = 4


def random_weights(tokens: list[str], seed: int, layers: int = 3, heads: int = 4) -> torch.Tensor:
    """(layers, N, T, T) of rows that sum to one."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(layers, heads, len(tokens), len(tokens), generator=generator)
    return scores.mul(5).softmax(-1)


def random_vectors(seed: int) -> torch.Tensor:
    """(2 layers, 4 heads, T, 8) for the Chinese tokens."""
    return torch.randn(2, 4, len(CHINESE), 8, generator=torch.Generator().manual_seed(seed))


def views() -> dict[str, str]:
    """HTML of each view on the page, by its name, in order."""
    weights = random_weights(TOKENS, 0)
    return {
        "head": head_view(weights, TOKENS, SECOND_START).data,
        "head in Chinese": head_view(random_weights(CHINESE, 1), CHINESE, layer=1, heads=[2]).data,
        "model": model_view(weights, TOKENS, SECOND_START).data,
        "neuron": neuron_view(random_vectors(2), random_vectors(3), CHINESE).data,
        # The same again is another view.
        "neuron again": neuron_view(random_vectors(2), random_vectors(3), CHINESE).data,
        "neuron of markup": neuron_view(weights, weights, TOKENS, layer=2, head=1).data,
    }


def attention_page() -> NotebookNode:
    """A notebook with the views as the outputs of its cells."""
    cells = [v4.new_markdown_cell("# Attention views\n\nSeveral of $T$ tokens.")]
    for count, (name, html) in enumerate(views().items(), start=1):
        output = v4.new_output("execute_result", {"text/html": html}, execution_count=count)
        cell = v4.new_code_cell(f"# {name}", outputs=[output], execution_count=count)
        cells += [v4.new_markdown_cell(f"## Attention: {name}"), cell]
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.validate(notebook)
    return notebook
