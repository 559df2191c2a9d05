"""The stamp of a stored run: which code made these outputs, where, when, and how long it took.

A stamp stands in a notebook's metadata as `companion.stamp`:

    code_sha256   hash of the code cells
    modules       each module of `companion` that the run imported, with the hash of its code
    versions      python, torch, transformers, datasets, companion
    device        the GPU's name, or the processor's with its number of cores
    seconds       from the first cell to the last
    date          day of the run (UTC)
    kept          later changes that cannot alter the outputs: {date, because, modules}

Comments, docstrings and formatting do not count as code, nor do the repository's address and the
names that a package's `__init__` passes on.
"""

import ast
import hashlib
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
# A command run from a cell imports modules in a process of its own, out of the kernel's sight.
SHELL_USE = re.compile(
    r"^\s*!(?!\s*pip)[^\n]*companion|^\s*%%(bash|sh)\b[\s\S]*companion"
    r"|\bsubprocess\b[\s\S]*[\"']companion\b",
    re.MULTILINE,
)


def canonical(node: object) -> object:
    """A syntax tree as plain lists: equal for equal code, whichever Python parsed it.

    `ast.dump` is not: newer versions add fields and leave out empty ones.
    """
    if isinstance(node, ast.AST):
        fields = [
            (name, canonical(value))
            for name, value in ast.iter_fields(node)
            if value not in (None, []) and name != "kind"
        ]
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [canonical(item) for item in node]
    return repr(node)


def without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def digest(*trees: ast.AST) -> str:
    plain = json.dumps([canonical(tree) for tree in trees])
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()


def code_hash(notebook: NotebookNode, root: Path = ROOT) -> str:
    """Hash of the code cells, magics included, in their order."""
    settings = tomllib.loads((root / "book/settings.toml").read_text(encoding="utf-8"))
    slug = settings["repository"].removeprefix("https://github.com/")
    trees = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            plain = TransformerManager().transform_cell(cell.source)
            trees.append(ast.parse(plain.replace(slug, "OWNER/NAME")))
    return digest(*trees)


def module_path(name: str, root: Path = ROOT) -> Path | None:
    """The file of a module of the checkout, or None where it no longer has that module."""
    base = root.joinpath(*name.split("."))
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.exists()), None)


def without_exports(tree: ast.Module) -> ast.Module:
    """A package's `__init__` without the names that it only passes on.

    Each module that a run imported has a hash of its own, so a name that a package gains changes
    no chapter that does not use it.
    """

    def passes_on(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            return targets <= {"__all__", "_HOMES"}
        if isinstance(node, ast.If):
            return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return isinstance(node, ast.Import | ast.ImportFrom)

    tree.body = [node for node in tree.body if not passes_on(node)]
    return tree


def module_hash(name: str, root: Path = ROOT) -> str | None:
    path = module_path(name, root)
    if path is None:
        return None
    tree = without_docstrings(ast.parse(path.read_text(encoding="utf-8")))
    return digest(without_exports(tree) if path.name == "__init__.py" else tree)


def module_hashes(notebook: NotebookNode, imported: list[str], root: Path = ROOT) -> dict[str, str]:
    """Hashes of what the kernel imported; of the whole package where a cell runs its command."""
    if any(c.cell_type == "code" and SHELL_USE.search(c.source) for c in notebook.cells):
        files = sorted((root / "companion").rglob("*.py"))
        parts = [file.relative_to(root).with_suffix("").parts for file in files]
        imported = [".".join(p).removesuffix(".__init__") for p in parts]
    hashes = {name: module_hash(name, root) for name in sorted(set(imported))}
    return {name: value for name, value in hashes.items() if value is not None}


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def read_stamp(notebook: NotebookNode) -> dict | None:
    return notebook.metadata.get("companion", {}).get("stamp")


def write_stamp(notebook: NotebookNode, stamp: dict) -> None:
    notebook.metadata.setdefault("companion", {})["stamp"] = stamp


def changed_modules(notebook: NotebookNode, root: Path = ROOT) -> list[str]:
    """Modules whose code is no longer what the stored run imported."""
    stamp = read_stamp(notebook) or {}
    return [
        name for name, value in stamp.get("modules", {}).items() if module_hash(name, root) != value
    ]


def stale(notebook: NotebookNode, root: Path = ROOT) -> list[str]:
    """Why the stored outputs are not those of the present code; empty when they are."""
    stamp = read_stamp(notebook)
    if stamp is None:
        return ["the outputs carry no stamp; store them with `make chapters`"]
    reasons = []
    if stamp["code_sha256"] != code_hash(notebook, root):
        reasons.append("the code cells changed after the stored run; run the chapter again")
    changed = changed_modules(notebook, root)
    if changed:
        reasons.append(
            f"{', '.join(changed)} changed after the stored run; run the chapter again, or, where "
            "the change cannot alter an output, `python book/run_chapters.py keep NUMBER --because`"
        )
    return reasons
