"""The full comparison with the reference tokenizer: too long to be a part of `make test`.

``python -m tests.text.proof`` encodes every text below COMPANION_DATA with the vocabularies of
bert-base-chinese and bert-base-uncased, a million random strings with both and with vocabularies
of single characters (which give every character its own offsets), and cuts every code point of
Unicode, all beside the `tokenizers` library. It prints every difference in ids, tokens, types or
offsets, ends with 1 if there is one, and writes what it did to ``proof-result.json``.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import tokenizers

from companion.text import Normalizer, WordPieceTokenizer, normalize, unicode_tables, wordpiece
from companion.text.sources import read_texts
from tests.text.reference import (
    BLOCK,
    LAST,
    OPTIONS,
    differences,
    random_strings,
    reference_tokenizer,
    spelling_vocabulary,
    unlike_blocks,
)

RESULT = Path(__file__).with_name("proof-result.json")
VOCABULARIES = ["bert-base-chinese", "bert-base-uncased"]
SOURCES = [
    *[f"chnsenticorp/{split}.tsv:text_a" for split in ("train", "dev", "test")],
    *[f"thucnews-titles/{split}.txt:1" for split in ("train", "dev", "test")],
    "online-shopping/online_shopping_10_cats.csv:review",
    *[f"sst2/{split}.tsv:sentence" for split in ("train", "dev", "test")],
    *[f"imdb/{split}.parquet:text" for split in ("train", "test", "unsup")],
    *[f"corpus/{language}-wiki.txt.xz" for language in ("zh", "en")],
]
PROVEN = [normalize, unicode_tables, wordpiece]
CHUNK = 5000


def code_hash() -> str:
    """Of the code that the proof is about, without docstrings, lines of comment and blank lines."""
    digest = hashlib.sha256()
    for module in PROVEN:
        source = Path(module.__file__).read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                for number in range(node.lineno, node.end_lineno + 1):
                    lines[number - 1] = ""
        code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        digest.update("\n".join(code).encode())
    return digest.hexdigest()


def chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lists of `CHUNK` texts."""
    iterator = iter(texts)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class Proof:
    """Counts what was compared and what differed, and says so as it goes."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.different: list[str] = []
        self.began = time.monotonic()

    def record(self, name: str, count: int, found: list[str]) -> None:
        """Add one chunk."""
        self.counts[name] = self.counts.get(name, 0) + count
        for text in found:
            print(f"DIFFERENT {name}: {text!a}", flush=True)
        self.different += [f"{name}: {text!a}" for text in found]
        seconds = time.monotonic() - self.began
        print(
            f"\r{seconds:7.0f} s  {name}: {self.counts[name]:,}  different: {len(self.different)}",
            end="", file=sys.stderr, flush=True,
        )  # fmt: skip


def prove(data: Path, strings: int, seed: int) -> Proof:
    """Run all three comparisons."""
    proof = Proof()
    known = {
        name: WordPieceTokenizer.from_vocab(data / "vocab" / f"{name}.txt") for name in VOCABULARIES
    }
    references = {name: reference_tokenizer(own.tokens, {}) for name, own in known.items()}
    for options in OPTIONS:
        for blocks in chunks(range(0, LAST + 1, BLOCK)):
            found = unlike_blocks(Normalizer(**options), blocks)
            proof.record(f"code points, {options or 'defaults'}", len(blocks) * BLOCK, found)
    for i, texts in enumerate(chunks(random_strings(strings, seed))):
        for name, own in known.items():
            found = differences(own, references[name], texts)
            proof.record(f"random strings, {name}", len(texts), found)
        options = OPTIONS[i % len(OPTIONS)]
        tokens = spelling_vocabulary(texts, options)
        found = differences(
            WordPieceTokenizer(tokens, **options), reference_tokenizer(tokens, options), texts
        )
        proof.record(
            f"random strings, single characters, {options or 'defaults'}", len(texts), found
        )
    for source in SOURCES:
        for texts in chunks(read_texts(str(data / source))):
            for name, own in known.items():
                proof.record(
                    f"{source}, {name}", len(texts), differences(own, references[name], texts)
                )
    print(file=sys.stderr)
    return proof


def main() -> None:
    """The command; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m tests.text.proof", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("COMPANION_DATA"))
    parser.add_argument("--strings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("set COMPANION_DATA or give --data")
    proof = prove(arguments.data, arguments.strings, arguments.seed)
    texts = sum(
        count
        for name, count in proof.counts.items()
        if name.split(", ")[0] in SOURCES and name.endswith(VOCABULARIES[0])
    )
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "different": proof.different,
        "texts": texts,
        "random_strings": arguments.strings,
        "seed": arguments.seed,
        "compared": proof.counts,
        "minutes": round((time.monotonic() - proof.began) / 60),
        "tokenizers": tokenizers.__version__,
        "python": platform.python_version(),
        "unicodedata": unicodedata.unidata_version,
        "code": code_hash(),
    }
    arguments.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"{len(proof.different)} differences; see {arguments.out}")
    sys.exit(bool(proof.different))


if __name__ == "__main__":
    main()
