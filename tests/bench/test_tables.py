"""Which tables are measured, and with which options, is settled before anything is measured."""

import pytest

from companion.bench import TABLES, as_table, plan
from companion.errors import SettingsError


def test_without_a_name_all_tables_are_measured_at_their_own_defaults():
    assert plan(None, data=None, rows=None) == {name: {} for name in TABLES}


def test_options_that_were_given_reach_the_named_table():
    assert plan("tokenizer", rows=50, epochs=None) == {"tokenizer": {"rows": 50}}


def test_an_option_that_a_table_lacks_is_an_error_that_names_one_that_has_it():
    with pytest.raises(
        SettingsError, match=r"no option epochs\. Name a table that has: fine-tuning"
    ):
        plan(None, epochs=2)
    with pytest.raises(SettingsError, match="There is no table nonsense; there are fine-tuning"):
        plan("nonsense")


def test_lists_stay_out_of_the_printed_table():
    table = as_table("speed", [{"side": "a", "ratio": 1.0, "all": [1, 2]}])
    assert [column.header for column in table.columns] == ["side", "ratio"]


def test_numbers_are_readable():
    cells = as_table("speed", [{"tokens/s": 19926.4, "ratio": 1.14706, "n": 15}]).columns
    assert [next(iter(column.cells)) for column in cells] == ["19,926", "1.147", "15"]
