"""Exchange → Evaluations, one file each; and the two stages before them, redaction and sampling."""

from __future__ import annotations

from pipeline.contracts import Processor
from processors.json_valid import JsonValid
from processors.latency import Latency
from processors.pii import Pii
from processors.redact import Redact
from processors.refusal import Refusal
from processors.repetition import Repetition
from processors.sample import Sample
from processors.tool_arguments import ToolArguments
from processors.truncation import Truncation

PROCESSORS: dict[str, type[Processor]] = {
    "refusal": Refusal,
    "truncation": Truncation,
    "json_valid": JsonValid,
    "repetition": Repetition,
    "pii": Pii,
    "latency": Latency,
    "tool_arguments": ToolArguments,
}
REDACT = Redact
SAMPLE = Sample
