"""Exchange → Evaluations, one file each; and the stages that every exchange passes whether it is evaluated or not."""

from __future__ import annotations

from pipeline.contracts import Processor
from processors.answer_relevancy import AnswerRelevancy
from processors.canary import Canary
from processors.citations import Citations
from processors.code_syntax import CodeSyntax
from processors.confidence import Confidence
from processors.context import Context
from processors.context_use import ContextUse
from processors.cost import Pricing
from processors.empty import Empty
from processors.groundedness import Groundedness
from processors.identify import Identify
from processors.indirect_injection import IndirectInjection
from processors.json_valid import JsonValid
from processors.judge import Judge
from processors.language import Language
from processors.latency import Latency
from processors.length import Length
from processors.links import Links
from processors.overall import Overall
from processors.pii import Pii
from processors.prompt_injection import PromptInjection
from processors.readability import Readability
from processors.redact import Redact
from processors.reference import Reference
from processors.refusal import Refusal
from processors.repeat_query import RepeatQuery
from processors.repetition import Repetition
from processors.rules import Rules
from processors.sample import Sample
from processors.secrets import Secrets
from processors.sentiment import Sentiment
from processors.similarity import Similarity
from processors.system_prompt_leak import SystemPromptLeak
from processors.tool_arguments import ToolArguments
from processors.toxicity import Toxicity
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
    "empty": Empty,
    "rules": Rules,
    "language": Language,
    "readability": Readability,
    "links": Links,
    "citations": Citations,
    "code_syntax": CodeSyntax,
    "length": Length,
    "sentiment": Sentiment,
    "confidence": Confidence,
    "prompt_injection": PromptInjection,
    "indirect_injection": IndirectInjection,
    "system_prompt_leak": SystemPromptLeak,
    "canary": Canary,
    "secrets": Secrets,
    "toxicity": Toxicity,
    "groundedness": Groundedness,
    "context_use": ContextUse,
    "similarity": Similarity,
    "repeat_query": RepeatQuery,
    "overall": Overall,
}
JUDGES: dict[str, type[Judge]] = {"judge": Judge}  # who take their time, after the evaluators
STAGES: dict[str, type[object]] = {  # in their order; the evaluators come before the last one
    "context": Context,
    "usage": CountTokens,
    "cost": Pricing,
    "identify": Identify,
    "redact": Redact,
    "sample": Sample,
}
