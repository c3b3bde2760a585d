"""Exchange → Evaluations, one file each; and the stages that every exchange passes whether it is evaluated or not."""

from __future__ import annotations

from pipeline.contracts import Processor
from processors.answer_relevancy import AnswerRelevancy
from processors.context import Context
from processors.context_use import ContextUse
from processors.cost import Pricing
from processors.groundedness import Groundedness
from processors.identify import Identify
from processors.json_valid import JsonValid
from processors.latency import Latency
from processors.pii import Pii
from processors.redact import Redact
from processors.reference import Reference
from processors.refusal import Refusal
from processors.repeat_query import RepeatQuery
from processors.repetition import Repetition
from processors.sample import Sample
from processors.similarity import Similarity
from processors.tool_arguments import ToolArguments
from processors.truncation import Truncation
from processors.usage import CountTokens

PROCESSORS: dict[str, type[Processor]] = {
    "refusal": Refusal,
    "truncation": Truncation,
    "json_valid": JsonValid,
    "repetition": Repetition,
    "pii": Pii,
    "latency": Latency,
    "tool_arguments": ToolArguments,
    "answer_relevancy": AnswerRelevancy,
    "reference": Reference,
    "groundedness": Groundedness,
    "context_use": ContextUse,
    "similarity": Similarity,
    "repeat_query": RepeatQuery,
}
STAGES: dict[str, type[object]] = {  # in their order; the evaluators come before the last one
    "context": Context,
    "usage": CountTokens,
    "cost": Pricing,
    "identify": Identify,
    "redact": Redact,
    "sample": Sample,
}
