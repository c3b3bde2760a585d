"""TLS to a backend: verified with the authority given, with a certificate of our own where it asks for one."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from exporters.otlp import Otlp
from pipeline.errors import Retryable
from tests.support.otlp_receiver import OtlpReceiver, Tls
from tests.support.records import an_evaluated_exchange

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


class Pki(NamedTuple):
    """An authority that both sides know, and our own certificate from it."""

    authority: trustme.CA
    files: dict[str, str]  # options of the exporter

    def server(self, name: str = "127.0.0.1", *, asks: bool = False, authority: trustme.CA | None = None) -> Tls:
        issued = (authority or self.authority).issue_cert(name)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return Tls(issued.private_key_pem.bytes(), chain, self.authority.cert_pem.bytes() if asks else None)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    ours = authority.issue_cert("sidelight")
    pems = {
        "certificate": authority.cert_pem.bytes(),
        "client_certificate": b"".join(pem.bytes() for pem in ours.cert_chain_pems),
        "client_key": ours.private_key_pem.bytes(),
    }
    return Pki(authority, {name: written(folder / name, pem) for name, pem in pems.items()})


def written(file: Path, pem: bytes) -> str:
    file.write_bytes(pem)
    return str(file)


async def export(receiver: OtlpReceiver, protocol: Any, **files: str) -> None:
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.endpoint
    built = await asyncio.to_thread(partial(Otlp, endpoint=endpoint, protocol=protocol, timeout=3.0, **files))
    async with built as exporter:
        await exporter.export([an_evaluated_exchange()])


@PROTOCOLS
async def test_a_backend_is_verified_with_the_authority_given(pki: Pki, protocol: str) -> None:
    async with OtlpReceiver(pki.server()) as receiver:
        await export(receiver, protocol, certificate=pki.files["certificate"])
        assert len(receiver.spans) == 2


@PROTOCOLS
@pytest.mark.parametrize("wrong", ["authority", "name", "unknown"])
async def test_a_backend_that_is_another_gets_nothing(pki: Pki, protocol: str, wrong: str) -> None:
    tls = {
        "authority": lambda: pki.server(authority=trustme.CA()),
        "name": lambda: pki.server("other.test"),
        "unknown": pki.server,
    }[wrong]()
    files = {} if wrong == "unknown" else {"certificate": pki.files["certificate"]}
    async with OtlpReceiver(tls) as receiver:
        with pytest.raises(Retryable):
            await export(receiver, protocol, **files)
        assert (receiver.requests, receiver.spans) == ([], [])


@PROTOCOLS
async def test_a_backend_that_asks_for_a_certificate_gets_ours(pki: Pki, protocol: str) -> None:
    async with OtlpReceiver(pki.server(asks=True)) as receiver:
        await export(receiver, protocol, **pki.files)
        assert len(receiver.spans) == 2


@PROTOCOLS
async def test_without_a_certificate_of_our_own_such_a_backend_takes_nothing(pki: Pki, protocol: str) -> None:
    async with OtlpReceiver(pki.server(asks=True)) as receiver:
        with pytest.raises(Retryable):
            await export(receiver, protocol, certificate=pki.files["certificate"])
        assert receiver.spans == []
