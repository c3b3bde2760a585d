"""Sidelight about itself: its processes, and every place on an exchange's way where something may wait or be lost."""

from __future__ import annotations

from deploy.grafana import choices
from deploy.grafana.model import Dashboard, Limits, Row, bars, chart, number
from deploy.grafana.promql import (
    OUTCOMES,
    SIDELIGHT,
    coverage,
    highest,
    level,
    mean,
    or_zero,
    quantile,
    quantiles,
    rate,
)

PROCESSES = Row(
    "Processes",
    (
        chart(
            "Processor",
            "Processor time that each process takes; 100 % is one core.",
            "percentunit",
            {"{{process}}": rate("sidelight_process_cpu_time_seconds_total", SIDELIGHT, per="process")},
            width=6,
            limits=Limits(0.7, 0.9),
        ),
        chart(
            "Memory",
            "Resident memory of each process. It should be flat, whatever the traffic.",
            "bytes",
            {"{{process}}": highest("sidelight_process_memory_bytes", SIDELIGHT, per="process")},
            width=6,
        ),
        chart(
            "Up since",
            "How long each process has run. A fall to nothing is a new start.",
            "s",
            {"{{process}}": f"min by (process) (sidelight_process_uptime_seconds{{{SIDELIGHT}}})"},
            width=6,
        ),
        chart(
            "Event loop lag",
            "The longest that each process's loop came late in ten seconds. The pipeline's may: it runs in the gaps.",
            "s",
            {"{{process}}": highest("sidelight_loop_lag_seconds", SIDELIGHT, per="process")},
            width=6,
            limits=Limits(0.02, 0.05),
        ),
    ),
)

PROXY = Row(
    "Proxy",
    (
        chart(
            "Requests",
            "Requests that each proxy process takes on in a second.",
            "reqps",
            {"proxy {{worker}}": rate("sidelight_proxy_requests_total", SIDELIGHT, per="worker")},
            width=6,
            stacked=True,
        ),
        chart(
            "Overhead",
            "Time from a request's head to its being sent upstream: what a call takes longer for Sidelight's sake.",
            "s",
            quantiles("sidelight_proxy_overhead_seconds", SIDELIGHT),
            exemplars=True,
            width=6,
            limits=Limits(0.005, 0.01),
        ),
        chart(
            "Connections",
            "Open connections on both sides, and requests under way.",
            "short",
            {
                "clients": level("sidelight_proxy_client_connections", SIDELIGHT),
                "upstreams": level("sidelight_proxy_upstream_connections", SIDELIGHT),
                "requests under way": level("sidelight_proxy_active_requests", SIDELIGHT),
            },
            width=6,
        ),
        chart(
            "Answers compared",
            "Whole answers in a second, compared as they came and as they left. None may be changed.",
            "reqps",
            {
                "the same": (
                    f"{rate('sidelight_proxy_compared_answers_total', SIDELIGHT)} "
                    f"- {rate('sidelight_proxy_mismatched_answers_total', SIDELIGHT)}"
                ),
                "changed": rate("sidelight_proxy_mismatched_answers_total", SIDELIGHT),
            },
            width=6,
        ),
    ),
)

HAND_OFF = Row(
    "Hand-off",
    (
        chart(
            "Captures",
            "Captures in a second: offered to the pipeline, refused, and those whose bodies were cut at the limit.",
            "reqps",
            {
                "offered": rate("sidelight_capture_offered_total", SIDELIGHT),
                "cut": rate("sidelight_capture_cut_total", SIDELIGHT),
                "parts of connections": rate("sidelight_proxy_capture_parts_total", SIDELIGHT),
            },
        ),
        chart(
            "Captures refused",
            "Captures lost in a second, and why: no room, too large, or deadly to the pipeline.",
            "reqps",
            {"{{reason}}": rate("sidelight_capture_refused_total", SIDELIGHT, per="reason")},
            limits=Limits(0.001, 1),
        ),
        chart(
            "Memory of copies",
            "What copies of answers under way take in each proxy process; proxy.capture.buffer bounds it.",
            "bytes",
            {"proxy {{worker}}": level("sidelight_proxy_capture_memory_bytes", SIDELIGHT, per="worker")},
        ),
    ),
)

PIPELINE = Row(
    "Pipeline",
    (
        number(
            "Captured",
            "Share of exchanges whose copy reached the pipeline.",
            "percentunit",
            coverage(),
            limits=Limits(1, 0.99),
        ),
        number(
            "Waiting",
            "Exchanges in the journal that are not evaluated yet.",
            "short",
            level("sidelight_journal_pending", SIDELIGHT),
            limits=Limits(5000, 10000),
        ),
        number(
            "Delay, p95",
            "95 of 100 exchanges are evaluated and handed on within this time after their end.",
            "s",
            quantile(0.95, "sidelight_exchange_delay_seconds", SIDELIGHT),
            limits=Limits(10, 60),
        ),
        number(
            "Not stored",
            "Exchanges that the journal could not keep, in a second.",
            "short",
            or_zero(rate("sidelight_journal_failed_total", SIDELIGHT)),
            limits=Limits(0.001, 1),
        ),
        number(
            "Evaluators replaced",
            "Evaluator processes replaced in an hour, at the present rate: they hung, died, or took too much memory.",
            "short",
            or_zero(f"3600 * {rate('sidelight_worker_restarts_total', SIDELIGHT)}"),
            limits=Limits(1, 20),
        ),
        number(
            "Usage lost",
            "Ways of calling whose provider used to report its tokens and stopped: their cost is estimated.",
            "short",
            or_zero(level("sidelight_usage_lost_ratio", SIDELIGHT)),
            limits=Limits(1, 2),
        ),
        chart(
            "Exchanges",
            "Exchanges in a second: taken on, and evaluated and handed on. The lines should lie on each other.",
            "reqps",
            {
                "taken on": rate("sidelight_exchange_accepted_total", SIDELIGHT),
                "done": rate("sidelight_exchange_done_total", SIDELIGHT),
            },
            width=6,
        ),
        chart(
            "Exchanges by wire format",
            "What the pipeline reads in a second, by wire format.",
            "reqps",
            {"{{wire}}": rate("sidelight_exchange_accepted_total", SIDELIGHT, per="wire")},
            width=6,
            stacked=True,
        ),
        chart(
            "Time by evaluator",
            "The average time that each evaluator takes for one exchange.",
            "s",
            {"{{evaluator}}": mean("sidelight_evaluation_duration_seconds", SIDELIGHT, per="evaluator")},
            width=6,
        ),
        chart(
            "Outcomes that should not be",
            "Outcomes in a second that are errors, or skipped because there was no room.",
            "short",
            {
                "error": or_zero(rate(OUTCOMES, SIDELIGHT, 'outcome="error"')),
                "queue full": or_zero(rate(OUTCOMES, SIDELIGHT, 'reason="queue_full"')),
            },
            width=6,
        ),
    ),
)

EXPORTERS = Row(
    "Exporters",
    (
        chart(
            "Sent",
            "Exchanges that each destination takes in a second.",
            "reqps",
            {"{{exporter}}": rate("sidelight_exporter_sent_total", SIDELIGHT, per="exporter")},
            width=6,
        ),
        chart(
            "Not sent",
            "In a second: batches sent again, exchanges given up or refused, and items that a destination rejected.",
            "short",
            {
                "sent again": or_zero(rate("sidelight_exporter_retries_total", SIDELIGHT)),
                "given up": or_zero(rate("sidelight_exporter_send_failed_total", SIDELIGHT)),
                "queue full": or_zero(rate("sidelight_exporter_enqueue_failed_total", SIDELIGHT)),
                "rejected": or_zero(rate("sidelight_exporter_rejected_total", SIDELIGHT)),
            },
            width=6,
        ),
        chart(
            "Waiting",
            "Exchanges that wait for each destination, in memory and on disk.",
            "short",
            {"{{exporter}}": level("sidelight_exporter_queue_size", SIDELIGHT, per="exporter")},
            width=6,
        ),
        bars(
            "Room taken",
            "How full each queue is: on disk where it has a file, else in memory.",
            "percentunit",
            {
                "{{exporter}}": (
                    f"{level('sidelight_exporter_queue_disk_size_bytes', SIDELIGHT, per='exporter')} "
                    f"/ {level('sidelight_exporter_queue_disk_capacity_bytes', SIDELIGHT, per='exporter')} "
                    f"or {level('sidelight_exporter_queue_size', SIDELIGHT, per='exporter')} "
                    f"/ {level('sidelight_exporter_queue_capacity', SIDELIGHT, per='exporter')}"
                )
            },
            width=6,
            limits=Limits(0.8, 0.95),
        ),
    ),
)

DASHBOARD = Dashboard(
    "self",
    "Sidelight: self",
    "Sidelight about itself: its processes, and every place where something may wait or be lost.",
    choices.OF_SIDELIGHT,
    (PROCESSES, PROXY, HAND_OFF, PIPELINE, EXPORTERS),
)
