"""What every test relies on: no windows, and no browser test skipped where one was promised."""

import os
from collections.abc import Generator

import matplotlib as mpl
import pytest

mpl.use("Agg")
pytest_plugins = ["tests.fixtures"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With COMPANION_REQUIRE_BROWSER=1 a browser test that would be skipped fails instead."""
    report = yield
    required = os.environ.get("COMPANION_REQUIRE_BROWSER") == "1"
    if report.skipped and required and item.get_closest_marker("browser"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"COMPANION_REQUIRE_BROWSER=1 forbids to skip this test ({reason})"
    return report
