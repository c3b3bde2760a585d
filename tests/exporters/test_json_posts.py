from __future__ import annotations

from typing import Any

import pytest

from exporters.json_posts import JsonPosts, checked
from pipeline.errors import Permanent, Retryable
from sidelight.demo import free_addresses
from tests.support.json_backend import JsonBackend, json_backend


async def posted(backend: JsonBackend, status: int = 200, **headers: str) -> None:
    backend.script.append((status, headers))
    async with JsonPosts("scores", {"Authorization": "Bearer canary"}, 5.0) as posts:
        await posts.post(f"{backend.endpoint}/v1/things", {"a": 1})


async def test_json_arrives_with_the_headers_given_and_ours() -> None:
    async with json_backend() as backend:
        await posted(backend)
    (request,) = backend.posted
    assert (request.path, request.body) == ("/v1/things", {"a": 1})
    assert request.headers["Authorization"] == "Bearer canary"
    assert request.headers["User-Agent"].startswith("sidelight/")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_these_statuses_are_worth_another_try(status: int) -> None:
    async with json_backend() as backend:
        with pytest.raises(Retryable, match=f"scores: HTTP {status} not this one") as caught:
            await posted(backend, status, **{"Retry-After": "7"})
    assert caught.value.after == 7


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 307])
async def test_every_other_status_is_final_and_tells_no_secret(status: int) -> None:
    async with json_backend() as backend:
        with pytest.raises(Permanent, match=f"HTTP {status}") as caught:
            await posted(backend, status, Location="/elsewhere")
    assert "canary" not in str(caught.value)


async def test_nobody_there_is_worth_another_try() -> None:
    (address,) = free_addresses(1)
    async with JsonPosts("scores", {}, 5.0) as posts:
        with pytest.raises(Retryable, match="scores: Client"):
            await posts.post(f"http://{address}/", {})


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [("ftp://host", "no URL"), ("host:80", "no URL"), ("http://", "no URL"), ("http://a:b@host", "would leak")],
)
def test_an_endpoint_that_cannot_be_is_refused(endpoint: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        checked(endpoint)


@pytest.mark.parametrize("endpoint", ["http://host:6006", "http://host:6006/"])
def test_a_slash_at_the_end_makes_no_difference(endpoint: Any) -> None:
    assert checked(endpoint) == "http://host:6006"
