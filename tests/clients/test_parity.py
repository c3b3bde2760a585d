"""Real clients, as they are published, cannot tell Sidelight from the endpoint; what they did is told truly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from pipeline.records import Exchange, text_of, tool_calls_of
from tests.clients.canonical import differences
from tests.clients.lab import Account, Lab, a_lab
from tests.clients.matrix import APIS, CURL, EXPECTED_WIRE, SOCKETS, Cell, Expected, cells
from tests.clients.table import RAISES
from tests.support.running import until

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

# llama-server leaves out message_start in some short streams, and not in others: any of what it does will do.
QUIRK_TRIES = 25
# It also closes connections that it said it keeps, at times under a client's next request: that client is asked again.
ENGINE_TRIES = 3
STREAMED = ("stream", "tools_stream", "early_close", "cut")
BARE_HTTP = ("get", "head", "unknown_path", "answered_early")

every_cell = pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=f"{cell.client.id}-{cell.api}-{cell.scenario}") for cell in cells()]
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with a_lab(tmp_path_factory.mktemp("clients")) as lab:
        yield lab


async def through_sidelight(lab: Lab, cell: Cell) -> Account:
    return (await lab.accounts(cell.client, "through"))[cell.api, cell.scenario]


async def directly(lab: Lab, cell: Cell, attempt: int = 0) -> Account:
    return (await lab.accounts(cell.client, "directly", attempt))[cell.api, cell.scenario]


def tries(cell: Cell) -> int:
    """How often to look for the same directly."""
    if cell.client.upstream != "llama":
        return 1
    return QUIRK_TRIES if cell.api == "messages" and cell.scenario in STREAMED else ENGINE_TRIES


@every_cell
async def test_the_client_sees_what_it_sees_without_sidelight(
    lab: Lab, cell: Cell, record_property: Callable[[str, object], None]
) -> None:
    seen = (await through_sidelight(lab, cell)).seen
    record_property(RAISES, bool(seen["error"]))
    for attempt in range(tries(cell)):
        differing = differences(seen, (await directly(lab, cell, attempt)).seen)
        if not differing:
            break
    assert differing == []


@every_cell
async def test_the_upstream_sees_what_it_sees_without_sidelight(lab: Lab, cell: Cell) -> None:
    through, without = await through_sidelight(lab, cell), await directly(lab, cell)
    assert differences(through.requests, without.requests) == []
    if cell.scenario.startswith("retry"):
        assert [request["status"] for request in through.requests] == [int(cell.scenario[-3:]), 200]


@every_cell
async def test_sidelight_tells_what_the_client_saw(lab: Lab, cell: Cell) -> None:
    account = await through_sidelight(lab, cell)
    assert account.exchanges, "nothing was exported"
    if cell.api in SOCKETS:
        return check_socket(cell, account)
    if account.requests:
        told = [(exchange.http.path, exchange.http.status) for exchange in account.exchanges]
        assert told == [(request["path"].partition("?")[0], request["status"]) for request in account.requests]
    for exchange in account.exchanges:
        check_kind(cell, exchange)
    check_ending(cell, account.exchanges[-1])
    if account.exchanges[-1].wire != "http":
        check_content(account.seen, account.exchanges)
        check_usage(account.seen, account.exchanges)


async def test_every_answer_left_as_it_came_and_every_request_was_told(lab: Lab) -> None:
    """Of all that passed in the tests before this one."""
    requests = await lab.requests()
    assert requests > 0
    await until(lambda: lab.spans() >= requests and lab.counted("sidelight.proxy.compared_answers") > 0)
    assert lab.spans() == requests
    assert lab.counted("sidelight.proxy.mismatched_answers") == 0


def expected(cell: Cell) -> Expected:
    return Expected("http", None) if cell.scenario in BARE_HTTP else EXPECTED_WIRE[cell.api]


def check_kind(cell: Cell, exchange: Exchange) -> None:
    """Wire format, operation and model."""
    wire, operation = expected(cell)
    assert (exchange.wire, exchange.operation) == (wire, operation)
    assert exchange.decode_error is None
    if wire != "http":
        assert exchange.request_model == APIS[cell.api].model


def check_socket(cell: Cell, account: Account) -> None:
    """The connection as an exchange of its own, and its turn."""
    connection, turn = sorted(account.exchanges, key=lambda exchange: exchange.turn)
    assert (connection.wire, connection.http.status) == ("websocket", 101)
    assert (connection.error_type, connection.decode_error) == (None, None)
    check_kind(cell, turn)
    check_ending(cell, turn)
    check_content(account.seen, [turn])
    assert turn.usage.source == "provider"
    assert [turn.usage.input_tokens, turn.usage.output_tokens] == account.seen["usage"]


def check_ending(cell: Cell, exchange: Exchange) -> None:
    """Whether it came to its end, and how it failed."""
    if cell.scenario == "error":
        assert exchange.http.status == 400
        assert exchange.error_type is not None
    elif cell.scenario == "early_close" and cell.client.upstream == "aimock":  # the engine is done before
        assert (exchange.complete, exchange.error_type) == (False, "client_disconnect")
    elif cell.scenario == "cut":
        assert not exchange.complete
        assert exchange.error_type is not None
    elif cell.scenario not in (*CURL, "early_close"):
        assert (exchange.complete, exchange.error_type) == (True, None)


def check_content(seen: dict[str, Any], exchanges: list[Exchange]) -> None:
    """The text that the client got at last, and every tool call on the way."""
    if seen.get("text"):
        assert text_of(exchanges[-1].output_messages).startswith(seen["text"])
    calls = [call for exchange in exchanges for call in tool_calls_of(exchange.output_messages)]
    assert [call.name for call in calls] == [name for name, _ in seen.get("tool_calls", [])]


def check_usage(seen: dict[str, Any], exchanges: list[Exchange]) -> None:
    """The client's own counts, over all that it asked."""
    if seen.get("usage") is None:
        return
    counted = [exchange.usage for exchange in exchanges if exchange.http.status == 200]
    assert {usage.source for usage in counted} == {"provider"}
    sums = [sum(usage.input_tokens or 0 for usage in counted), sum(usage.output_tokens or 0 for usage in counted)]
    assert sums == seen["usage"]
