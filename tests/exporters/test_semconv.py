"""Holds the table against the conventions' published constants where a package has them, and against their text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    exception_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.semconv.schemas import Schemas

from exporters import semconv
from pipeline.telemetry import Histogram, Instrument

PUBLISHED = {
    value
    for module in (
        client_attributes,
        error_attributes,
        exception_attributes,
        http_attributes,
        network_attributes,
        server_attributes,
        url_attributes,
        user_agent_attributes,
    )
    for value in vars(module).values()
    if isinstance(value, str)
}
DEVELOPMENT = {"http.request.body.size", "http.response.body.size", "session.id", "user.hash"}


def instruments() -> dict[str, Instrument]:
    return {each.name: each for each in vars(semconv.Conventional()).values() if isinstance(each, Instrument)}


def test_http_and_network_attributes_are_published_ones() -> None:
    others = ("gen_ai.", "sidelight.", "openai.", "aws.")
    ours = {name for name in semconv.ATTRIBUTES if not name.startswith(others)}
    assert len(ours) > 12
    assert ours - PUBLISHED - DEVELOPMENT == set()


def test_every_name_is_well_formed_and_in_a_known_namespace() -> None:
    for name in (semconv.ATTRIBUTES.keys() - {semconv.FAILED_BY_EACH}) | instruments().keys():
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\.?", name), name


def test_http_metrics_have_the_published_names_and_buckets() -> None:
    table = instruments()
    for name in (http_metrics.HTTP_SERVER_REQUEST_DURATION, http_metrics.HTTP_CLIENT_REQUEST_DURATION):
        assert table[name].unit == "s"
        assert table[name].bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


def test_genai_buckets_are_the_conventions() -> None:
    assert semconv.TOKENS[:4] == (1, 4, 16, 64)
    assert semconv.TOKENS[-1] == 67108864
    assert len(semconv.TOKENS) == 14
    doubling = semconv.OPERATION_SECONDS
    assert [round(after / before, 9) for before, after in pairwise(doubling)] == [2.0] * 13
    assert (doubling[0], doubling[-1]) == (0.01, 81.92)


def test_histograms_and_their_older_names_share_unit_and_buckets() -> None:
    table = instruments()
    assert set(semconv.LEGACY_NAMES) < set(table)
    for latest, (older, _) in semconv.LEGACY_NAMES.items():
        assert isinstance(table[latest], Histogram)
        if older in table:
            assert (table[latest].unit, table[latest].bounds) == (table[older].unit, table[older].bounds)


def test_the_schema_url_is_the_pinned_version() -> None:
    assert semconv.HTTP_SCOPE.schema_url == Schemas.V1_44_0.value
    assert "1.44.0" in semconv.SOURCE


@pytest.mark.parametrize(
    ("method", "route", "name"),
    [
        ("POST", "/v1/chat/completions", "POST /v1/chat/completions"),
        ("GET", None, "GET"),
        ("BREW", None, "HTTP"),
        ("get", "/a", "HTTP /a"),
    ],
)
def test_server_spans_are_named_by_method_and_route(method: str, route: str | None, name: str) -> None:
    assert semconv.server_span_name(method, route) == name


def test_inference_spans_are_named_by_operation_and_model() -> None:
    assert semconv.inference_span_name("chat", "gpt-4o") == "chat gpt-4o"
    assert semconv.inference_span_name("chat", None) == "chat"


@pytest.mark.parametrize(
    ("metric", "scope"),
    [
        ("http.server.request.duration", semconv.HTTP_SCOPE),
        ("gen_ai.client.token.usage", semconv.GENAI_SCOPE),
        ("sidelight.exporter.sent", semconv.OWN_SCOPE),
    ],
)
def test_metrics_belong_to_the_scope_of_their_conventions(metric: str, scope: semconv.Scope) -> None:
    assert semconv.scope_of(metric) is scope
