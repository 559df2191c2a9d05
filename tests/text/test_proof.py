"""The stored result of the full comparison with the reference: see tests/text/proof.py."""

import json

import pytest

from tests.text.proof import RESULT, SOURCES, VOCABULARIES, code_hash

STORED = json.loads(RESULT.read_text("utf-8"))


def test_every_text_and_a_million_strings_were_compared_without_a_difference():
    assert STORED["different"] == []
    assert STORED["texts"] > 300_000
    for name in VOCABULARIES:
        assert STORED["compared"][f"random strings, {name}"] == STORED["random_strings"] >= 10**6
        assert all(STORED["compared"][f"{source}, {name}"] > 0 for source in SOURCES)


def test_the_comparison_was_made_with_the_code_as_it_is():
    if STORED["code"] != code_hash():
        pytest.fail("companion.text changed after the stored proof: run `make proof` again")
