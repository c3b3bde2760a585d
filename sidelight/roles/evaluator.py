"""An evaluator process: builds the evaluators from their options and answers until its channel closes."""

from __future__ import annotations

import mmap
import socket
import sys
from typing import Any

from pipeline.evaluate import Heartbeat, serve
from processors.embeddings import prepare
from sidelight.components import build_evaluators
from sidelight.process import limit_memory


def run(setup: dict[str, Any]) -> None:
    """Evaluate until the channel closes."""
    channel = socket.socket(fileno=setup["channel"])
    page = mmap.mmap(setup["heartbeat"], mmap.PAGESIZE)
    sys.stdout = sys.stderr  # what an evaluator prints is not data
    processors = build_evaluators(setup["processors"])
    limit_memory(setup["max_memory"])
    prepare(processors.values())
    serve(processors, channel, Heartbeat(memoryview(page)[: Heartbeat.SIZE].cast("Q")))
