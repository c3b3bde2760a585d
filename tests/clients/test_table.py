"""The table in the documentation is the one that the declared clients make, and all of it is green."""

from __future__ import annotations

import pytest

from tests.clients import table
from tests.clients.matrix import APIS, CLIENTS, EXPECTED_WIRE, PROMPTS, cells


def test_the_table_in_the_documents_has_every_cell_and_all_are_green() -> None:
    green = table.render({table.key(cell): table.SAME for cell in cells()})
    assert table.FILE.read_text().replace(table.RAISES, table.SAME) == green.replace(table.RAISES, table.SAME)


def test_every_client_is_declared_once_and_does_what_is_known() -> None:
    assert len({client.id for client in CLIENTS}) == len(CLIENTS)
    assert {cell.api for cell in cells()} <= set(APIS) == set(EXPECTED_WIRE)
    assert {cell.scenario for cell in cells()} == set(PROMPTS)


@pytest.mark.parametrize("sign", [table.FAILED, table.UNKNOWN])
def test_a_cell_that_is_not_green_shows(sign: str) -> None:
    first, *rest = (table.key(cell) for cell in cells())
    results = dict.fromkeys(rest, table.SAME) | ({first: sign} if sign == table.FAILED else {})
    assert table.render(results).count(f"| {sign} |") == 1
