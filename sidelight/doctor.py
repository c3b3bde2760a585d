"""`sidelight doctor`: does everything that a configuration names answer, and what will a backend show?

Each OTLP backend is sent one marked call, signal by signal: a trace, its evaluation events, its metrics. What it
answers is told; whether that can be found there is for the eyes, and the trace's id is said.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from config.settings import Settings, Upstream
from exporters.measure import Measure
from exporters.otlp import Otlp, urls_of
from exporters.otlp_sender import Signal
from exporters.prometheus import Prometheus
from exporters.resource import resource_attributes
from pipeline.contracts import MetricsPage
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import (
    EvaluatedExchange,
    Evaluation,
    Exchange,
    Http,
    LedgerEntry,
    Message,
    Part,
    Timing,
    TraceContext,
    Usage,
)
from pipeline.telemetry import Telemetry
from processors.embeddings import ModelUnusable, embedder
from sidelight.components import Components
from sidelight.status import health_page

MARK: Final = "sidelight-doctor"
CONNECT_WITHIN: Final = 5.0  # seconds


class Finding(NamedTuple):
    """One thing that was tried."""

    well: bool
    subject: str
    said: str


async def examine(settings: Settings, components: Components, console: Console) -> bool:
    """Print one line for each thing that was tried, and what to look for; True when all is well."""
    evaluated, service = marked_exchange(), settings.service
    resource = await asyncio.to_thread(resource_attributes, service.name, service.environment, service.attributes)
    well = True
    async for finding in findings(settings, components, resource, evaluated):
        sign = Text("✓ ", "green") if finding.well else Text("✗ ", "red")
        console.print(Text.assemble(sign, (finding.subject, "bold"), " ", finding.said), soft_wrap=True)
        well = well and finding.well
    if any(isinstance(exporter, Otlp) for exporter in components.exporters.values()):
        console.print(Text(what_to_look_for(resource["service.name"], evaluated)), soft_wrap=True)
    return well


async def findings(
    settings: Settings, components: Components, resource: Mapping[str, str], evaluated: EvaluatedExchange
) -> AsyncIterator[Finding]:
    """In the order of the way that an exchange takes."""
    for name, upstream in settings.proxy.upstreams.items():
        yield await upstream_finding(name, upstream)
    yield await asyncio.to_thread(store_finding, settings)
    methods = {getattr(evaluator, "method", "lexical") for evaluator in components.evaluators.values()}
    if methods != {"lexical"} and methods:
        yield await asyncio.to_thread(model_finding, "embeddings" in methods)
    if settings.service.health:
        yield await running_finding(settings.service.health)
    for name, exporter in components.exporters.items():
        if isinstance(exporter, Otlp):
            for signal in exporter.signals:
                yield await signal_finding(name, replace(exporter, signals=(signal,), resource=resource), evaluated)
        elif isinstance(exporter, MetricsPage):
            yield await page_finding(name, exporter)
        else:
            yield Finding(True, f"exporters.{name}", "can be built; nothing was sent")


async def upstream_finding(name: str, upstream: Upstream) -> Finding:
    """Can a connection be had, with TLS where it is asked for? Nothing is sent: a request may cost money."""
    parts = urlsplit(upstream.url)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    subject = f"proxy.upstreams.{name}"
    try:
        context = await asyncio.to_thread(tls_context, upstream) if tls else None
        async with asyncio.timeout(CONNECT_WITHIN):
            _, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=context, server_hostname=(upstream.tls.server_name if tls else None)
            )
        writer.close()
    except (OSError, TimeoutError) as error:
        return Finding(False, subject, f"{parts.hostname}:{port} cannot be reached: {reason(error)}")
    return Finding(True, subject, f"{parts.hostname}:{port} takes connections{' with TLS' if tls else ''}")


def tls_context(upstream: Upstream) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=upstream.tls.ca)
    if upstream.tls.client:
        context.load_cert_chain(upstream.tls.client.cert, upstream.tls.client.key)
    return context


def store_finding(settings: Settings) -> Finding:
    path = Path(settings.store.path)
    folder = path.parent
    writable = os.access(path if path.exists() else folder, os.W_OK) and os.access(folder, os.W_OK)
    said = f"{path} can be written" if writable else f"{path} cannot be written; choose another path or its owner"
    return Finding(writable, "exporters.store", said)


def model_finding(needed: bool) -> Finding:
    """Is the model there that meanings are compared by, and is it the published one?"""
    try:
        embedder("embeddings")
    except ModelUnusable as error:
        return Finding(not needed, "processors", f"meanings are not compared: {error}")
    return Finding(True, "processors", "meanings are compared by the published model")


async def running_finding(address: str) -> Finding:
    """Not running is no fault: a configuration may be examined before it is used."""
    page = await health_page(address)
    if page is None:
        return Finding(True, "service.health", f"nothing runs on {address} yet")
    ailing = [name for name, each in page.get("components", {}).items() if each["status"] != "StatusOK"]
    if ailing or not page["serving"]:
        return Finding(False, "service.health", f"it runs, and is not well: {', '.join(ailing) or 'not serving'}")
    return Finding(True, "service.health", f"it runs on {address} and is well")


async def signal_finding(name: str, exporter: Otlp, evaluated: EvaluatedExchange) -> Finding:
    """One signal of a backend: taken or not, in its own words."""
    (signal,) = exporter.signals
    subject, where = f"exporters.{name}", f"{signal} to {place_of(exporter, signal)}"
    try:
        async with exporter:
            if signal == "metrics":
                await exporter.export_metrics(measured(evaluated))
            else:
                await exporter.export([evaluated])
    except PartialSuccess as error:
        return Finding(False, subject, f"{where}: taken in part: {error}")
    except (Permanent, Retryable) as error:
        return Finding(False, subject, f"{where}: not taken: {error}")
    except OSError as error:
        return Finding(False, subject, f"{where}: {reason(error)}")
    return Finding(True, subject, f"{where}: taken")


def place_of(exporter: Otlp, signal: Signal) -> str:
    return str(exporter.endpoint or "127.0.0.1:4317") if exporter.protocol == "grpc" else urls_of(exporter)[signal]


def measured(evaluated: EvaluatedExchange) -> Any:
    """The metrics of this one call."""
    measure = Measure(Telemetry())
    measure.record(evaluated)
    return measure.snapshot()


async def page_finding(name: str, exporter: MetricsPage) -> Finding:
    """Sidelight answers there while it runs; before, the address should be free."""
    subject = f"exporters.{name}"
    address = exporter.listen if isinstance(exporter, Prometheus) else ""
    host, _, port = address.rpartition(":")
    if address.startswith("unix:") or not port.isdigit():
        return Finding(True, subject, "can be built")
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
    except (OSError, TimeoutError):
        return Finding(True, subject, f"{address} is free; Sidelight will listen there")
    return Finding(True, subject, f"somebody listens on {address}: Sidelight, if it runs")


def reason(error: BaseException) -> str:
    """Short, and never empty."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def marked_exchange() -> EvaluatedExchange:
    """A call that never was, with one evaluation that passes and one that fails; its model is the mark."""
    ids = secrets.token_hex(16)
    trace = TraceContext(secrets.token_hex(16), ids[:16], ids[16:])
    now = time.time_ns()
    millisecond = 1_000_000
    http = Http(
        method="POST", path="/v1/chat/completions", query=None, scheme="http", version="1.1", status=200,
        server_address="api.example.com", server_port=443, client_address="127.0.0.1", client_port=50000,
        request_size=100, response_size=200, route="/v1/chat/completions",
    )  # fmt: skip
    exchange = Exchange(
        secrets.token_hex(16),
        trace,
        MARK,
        http,
        Timing(now - 500 * millisecond, millisecond, 400 * millisecond, 500 * millisecond),
        wire="openai_chat",
        operation="chat",
        provider="openai",
        request_model=MARK,
        response_model=MARK,
        response_id=f"{MARK}-{ids[:8]}",
        input_messages=(Message("user", (Part("text", content="Is anybody there?"),)),),
        output_messages=(Message("assistant", (Part("text", content="I am."),), finish_reason="stop"),),
        usage=Usage(5, 3, source="provider"),
        content="redacted",
    )
    entries = tuple(
        LedgerEntry(
            name,
            "pass" if label == "pass" else "fail",
            evaluations=(Evaluation(name, score, label, f"{MARK}: this evaluation always says {label}."),),
            started_at=now,
            duration=millisecond,
        )
        for name, score, label in ((f"{MARK}.good", 1.0, "pass"), (f"{MARK}.bad", 0.0, "fail"))
    )
    return EvaluatedExchange(exchange, entries)


def what_to_look_for(service: str, evaluated: EvaluatedExchange) -> str:
    """How it looks in a backend."""
    return f"""
Where it was taken, look for the trace {evaluated.exchange.trace.trace_id} of the service {service}:

    POST /v1/chat/completions                 SERVER
    └─ chat {MARK}             CLIENT    sidelight.failed_by.{MARK}.bad = true
       ├─ evaluate {MARK}.good INTERNAL  pass, 1.0
       └─ evaluate {MARK}.bad  INTERNAL  fail, 0.0

the events gen_ai.evaluation.result of that trace, and the metrics with gen_ai.request.model = {MARK}
(gen_ai_client_inference_duration_seconds_count, gen_ai_client_inference_usage_input_tokens_total = 5)."""
