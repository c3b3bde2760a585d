"""Sidelight: an evaluating side-car proxy for LLM endpoints. Plug-in authors import from here and nowhere else."""

from pipeline.contracts import Exporter, Processor, WireFormat
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import Capture, EvaluatedExchange, Evaluation, Exchange, LedgerEntry, Message, Part, Usage

__version__ = "0.1.0"

__all__ = [
    "Capture",
    "EvaluatedExchange",
    "Evaluation",
    "Exchange",
    "Exporter",
    "LedgerEntry",
    "Message",
    "Part",
    "PartialSuccess",
    "Permanent",
    "Processor",
    "Retryable",
    "Usage",
    "WireFormat",
]
