"""Collects what the tests of real clients find, and writes it to docs/clients.md when asked to."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.clients import table
from tests.clients.matrix import Cell

RESULTS = pytest.StashKey[dict[tuple[str, str, str], str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write what was found to docs/clients.md")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cell = item.callspec.params.get("cell") if hasattr(item, "callspec") else None
    if isinstance(cell, Cell) and (call.when == "call" or report.failed):
        results = item.config.stash.setdefault(RESULTS, {})
        found = table.sign(cell, dict(report.user_properties).get(table.RAISES) is True)
        # A cell has several tests: the worst of them is its sign.
        signs = (table.SAME, table.RAISES, table.FAILED)
        found = table.FAILED if report.failed else found
        results[table.key(cell)] = max(results.get(table.key(cell), table.SAME), found, key=signs.index)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--write-table", default=False):
        found = session.config.stash.setdefault(RESULTS, dict[tuple[str, str, str], str]())
        table.FILE.write_text(table.render(found))
