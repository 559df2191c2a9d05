"""What every test relies on: no windows, no browser test skipped where one was promised.

And what lets several processes share the work (`make unit`): each has its part of the cores, and
tests that share something expensive stay together.
"""

import os
from collections.abc import Generator

# Before torch is imported, or each process would want all cores.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))

import matplotlib as mpl  # noqa: E402
import pytest  # noqa: E402

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For --dist loadgroup: a file of tests stays together, and so do all that need the site."""
    for item in items:
        if item.get_closest_marker("chapter"):
            continue  # each chapter is a run of its own
        place = item.path.parent if item.path.parent.name == "site" else item.path
        item.add_marker(pytest.mark.xdist_group(str(place)))
