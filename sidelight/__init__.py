"""Sidelight: an evaluating side-car proxy for LLM endpoints. Plug-in authors import from here and nowhere else."""

from pipeline.contracts import Exporter, Processor, WireFormat
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import (
    Capture,
    EvaluatedExchange,
    Evaluation,
    Exchange,
    Json,
    LedgerEntry,
    Message,
    Part,
    Usage,
    text_of,
    tool_calls_of,
)

__version__ = "0.1.0"

__all__ = [
    "Capture",
    "EvaluatedExchange",
    "Evaluation",
    "Exchange",
    "Exporter",
    "Json",
    "LedgerEntry",
    "Message",
    "Part",
    "PartialSuccess",
    "Permanent",
    "Processor",
    "Retryable",
    "Usage",
    "WireFormat",
    "text_of",
    "tool_calls_of",
]
