"""Turns every exchange, kept or sampled out, into the conventions' metrics and Sidelight's evaluation metrics.

Model names, finish states and error codes come from callers and upstreams: they are cut short here, and the
instruments bound how many of them are told apart. Tokens are counted only as the provider reported them.
What was only estimated has a counter of its own. The metrics' names are chosen at export: see `exporters.vocabulary`.
"""

from __future__ import annotations

from itertools import pairwise

from exporters import semconv
from exporters.outcome import genai_error, http_error, weight_of
from pipeline.records import EvaluatedExchange, Exchange, LedgerEntry, Usage
from pipeline.telemetry import Attributes, AttributeValue, Snapshot, Telemetry

LONGEST_VALUE = 128


class Measure:
    """Records exchanges into its own GenAI and HTTP instruments, and their evaluations into `telemetry`'s."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.instruments = semconv.Conventional()
        self._telemetry = telemetry
        # What is counted, by which counter, and what a modality's part of it is called.
        self._usage = [
            (field, getattr(self.instruments, f"usage_{field}"), split)
            for field, split in (
                ("input_tokens", "input_tokens"),
                ("output_tokens", "output_tokens"),
                ("cache_read_input_tokens", "cache_read.input_tokens"),
                ("cache_write_input_tokens", None),
                ("reasoning_output_tokens", None),
            )
        ]

    def snapshot(self) -> Snapshot:
        """The GenAI and HTTP metrics as they stand."""
        return self.instruments.snapshot()

    def record(self, evaluated: EvaluatedExchange) -> None:
        """Measure one exchange, once."""
        trace = exemplar(evaluated)
        if not evaluated.late:
            self._call(evaluated.exchange, trace)
        for entry in evaluated.entries:
            self._evaluation(evaluated, entry, trace)

    def _call(self, exchange: Exchange, trace: str | None) -> None:
        if not exchange.turn:
            self._http(exchange, trace)
        if exchange.operation in semconv.INFERENCE:
            self._inference(exchange, trace)
        elif exchange.operation is not None:
            self._operation(exchange, trace)
        if exchange.operation is not None:
            self._bill(exchange)

    def _bill(self, exchange: Exchange) -> None:
        """Whose counts they are, what was estimated, and what it cost as far as that is known."""
        telemetry, usage, attributes = self._telemetry, exchange.usage, genai_attributes(exchange)
        source = (("source", usage.source), ("wire", exchange.wire), ("upstream", exchange.upstream))
        telemetry.usage_exchanges.add(1, source)
        if usage.source == "estimated":
            for token_type, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                if count:
                    telemetry.usage_estimated_tokens.add(count, (*attributes, (semconv.TOKEN_TYPE, token_type)))
        if exchange.cost is not None:
            telemetry.cost_total.add(exchange.cost.total, (*attributes, ("estimated", exchange.cost.estimated)))
        elif usage.source != "none":
            telemetry.cost_unknown.add(1, model_attributes(exchange))

    def _http(self, exchange: Exchange, trace: str | None) -> None:
        timing, context = exchange.timing, exchange.trace
        server, client = http_server_attributes(exchange), http_client_attributes(exchange)
        sent_at = timing.sent_at or 0
        if timing.sent_at is not None:
            self._telemetry.proxy_overhead.record(timing.sent_at / 1e9, (), trace, context.server_span_id)
        self.instruments.http_server_duration.record(timing.duration / 1e9, server, trace, context.server_span_id)
        self.instruments.http_client_duration.record(
            max(timing.ended_at - sent_at, 0) / 1e9, client, trace, context.client_span_id
        )

    def _inference(self, exchange: Exchange, trace: str | None) -> None:
        timing, usage, span = exchange.timing, exchange.usage, exchange.trace.client_span_id
        instruments = self.instruments
        attributes = genai_attributes(exchange)
        instruments.inference_duration.record(
            timing.duration / 1e9, with_error(attributes, genai_error(exchange)), trace, span
        )
        if usage.source == "estimated":
            usage = Usage()
        if usage.input_tokens is not None:
            instruments.operation_input_tokens.record(usage.input_tokens, attributes, trace, span)
        if usage.output_tokens is not None:
            instruments.operation_output_tokens.record(usage.output_tokens, attributes, trace, span)
        self._tokens(usage, attributes)
        if exchange.stream:
            self._chunks(exchange, attributes, trace)

    def _tokens(self, usage: Usage, attributes: Attributes) -> None:
        for field, counter, split in self._usage:
            count = getattr(usage, field)
            if count is None or count <= 0:
                continue
            for modality in semconv.MODALITIES if split and usage.details else ():
                part = usage.details.get(f"{modality}.{split}", 0)
                if 0 < part <= count:
                    counter.add(part, (*attributes, (semconv.TOKEN_MODALITY, modality)))
                    count -= part
            if count:
                counter.add(count, (*attributes, (semconv.TOKEN_MODALITY, "unknown")))

    def _chunks(self, exchange: Exchange, attributes: Attributes, trace: str | None) -> None:
        timing = exchange.timing
        if timing.first_chunk_at is not None:
            self.instruments.time_to_first_chunk.record(
                timing.first_chunk_at / 1e9, attributes, trace, exchange.trace.client_span_id
            )
        gaps = [max(after - before, 0) / 1e9 for before, after in pairwise(timing.chunk_times)]
        self.instruments.time_per_output_chunk.record_many(gaps, attributes)

    def _operation(self, exchange: Exchange, trace: str | None) -> None:
        attributes, span = genai_attributes(exchange), exchange.trace.client_span_id
        self.instruments.operation_duration.record(
            exchange.timing.duration / 1e9, with_error(attributes, genai_error(exchange)), trace, span
        )
        usage = Usage() if exchange.usage.source == "estimated" else exchange.usage
        for token_type, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                typed = (*attributes, (semconv.TOKEN_TYPE, token_type))
                self.instruments.token_usage.record(count, typed, trace, span)

    def _evaluation(self, evaluated: EvaluatedExchange, entry: LedgerEntry, trace: str | None) -> None:
        telemetry = self._telemetry
        evaluator: Attributes = (("evaluator", entry.evaluator),)
        outcome: Attributes = (*evaluator, ("outcome", entry.outcome))
        telemetry.evaluation_outcomes.add(1, (*outcome, ("reason", short(entry.reason))) if entry.reason else outcome)
        if entry.outcome == "skipped":
            return
        model = model_attributes(evaluated.exchange)
        telemetry.evaluation_represented.add(weight_of(evaluated, entry), outcome + model)
        span = evaluated.exchange.trace.client_span_id
        telemetry.evaluation_duration.record(entry.duration / 1e9, evaluator, trace, span)
        for evaluation in entry.evaluations:
            if evaluation.score_value is not None:
                named = (*evaluator, (semconv.EVALUATION_NAME, short(evaluation.name)), *model)
                telemetry.evaluation_score.record(evaluation.score_value, named, trace, span)


def exemplar(evaluated: EvaluatedExchange) -> str | None:
    """The trace an exemplar may point at: one that is exported and that its caller samples."""
    trace = evaluated.exchange.trace
    return trace.trace_id if trace.sampled and evaluated.kept != "sampled_out" else None


def short(text: str) -> str:
    """A value fit to be kept for as long as the process lives, and to be encoded."""
    cut = text[:LONGEST_VALUE]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def with_error(attributes: Attributes, error_type: str | None) -> Attributes:
    return attributes if error_type is None else (*attributes, (semconv.ERROR_TYPE, short(error_type)))


def http_server_attributes(exchange: Exchange) -> Attributes:
    """Of `http.server.request.duration`; no server.address, which a client's Host header decides."""
    http = exchange.http
    attributes: list[tuple[str, AttributeValue]] = [
        (semconv.HTTP_REQUEST_METHOD, semconv.known_method(http.method)),
        (semconv.URL_SCHEME, http.scheme),
        (semconv.NETWORK_PROTOCOL_VERSION, http.version),
    ]
    if http.route is not None:
        attributes.append((semconv.HTTP_ROUTE, http.route))
    if http.status is not None:
        attributes.append((semconv.HTTP_RESPONSE_STATUS_CODE, http.status))
    return with_error(tuple(attributes), http_error(exchange, errors_from=500))


def http_client_attributes(exchange: Exchange) -> Attributes:
    """Of `http.client.request.duration`."""
    http = exchange.http
    attributes: list[tuple[str, AttributeValue]] = [
        (semconv.HTTP_REQUEST_METHOD, semconv.known_method(http.method)),
        (semconv.SERVER_ADDRESS, http.server_address),
        (semconv.SERVER_PORT, http.server_port),
    ]
    if http.status is not None:
        attributes.append((semconv.HTTP_RESPONSE_STATUS_CODE, http.status))
    return with_error(tuple(attributes), http_error(exchange, errors_from=400))


def genai_attributes(exchange: Exchange) -> Attributes:
    """Of every `gen_ai.client.*` metric; conversation, user and session stay off: they are unbounded."""
    attributes: list[tuple[str, AttributeValue]] = [
        (semconv.OPERATION_NAME, short(exchange.operation or semconv.OTHER)),
        (semconv.PROVIDER_NAME, exchange.provider or semconv.OTHER),
    ]
    if exchange.request_model:
        attributes.append((semconv.REQUEST_MODEL, short(exchange.request_model)))
    if exchange.response_model:
        attributes.append((semconv.RESPONSE_MODEL, short(exchange.response_model)))
    attributes.append((semconv.SERVER_ADDRESS, exchange.http.server_address))
    attributes.append((semconv.SERVER_PORT, exchange.http.server_port))
    return tuple(attributes)


def model_attributes(exchange: Exchange) -> Attributes:
    return ((semconv.REQUEST_MODEL, short(exchange.request_model)),) if exchange.request_model else ()
