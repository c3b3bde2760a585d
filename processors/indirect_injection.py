"""Do tool results or retrieved texts give instructions? Nothing that was looked up has a reason to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, Message, Part
from processors.injection import TAKEOVER, Detector, Family, judgement
from processors.options import check_share
from processors.texts import strings_in

ADDRESSED: Final = (  # to the model, by a text that should know nothing of it
    r"\b(?:important |urgent |critical )?(?:note|message|instructions?|notice|attention|reminder|information)s? "
    r"(?:to|for|from) (?:the |any |all )*(?:ai|llm|language model|chatbot)s?\b",
    r"\b(?:attention|dear|hey|hello|hi) (?:the |any |all )*(?:ai|llm|language model|chatbot|chatgpt)s?\b",
    r"\b(?:if|when|since|as) you(?:'re| are) an? (?:\w+ )?(?:ai|llm|language model|chatbot|assistant|agent)\b",
    r"\b(?:ai|llm|language model|chatbot|assistant|agent|model)s? (?:reading|processing|summari[sz]ing"
    r"|analy[sz]ing) this\b",
    r"\b(?:an|der|die|das) (?:ki|assistent\w*|sprachmodell)\b[^.!?\n]*\banweisung",
    r"\b(?:instructions? pour l'(?:ia|assistant)|instrucciones para (?:la ia|el asistente))\b",
    r"(?:给AI的指令|给人工智能的指示|ai助手请|AIへの指示|aiへの指示|アシスタントへの指示|инструкци\S* для (?:ии"
    r"|ассистента|модели))",
)
SECRECY: Final = (
    r"\b(?:do not|don't|never|without) (?:tell|telling|inform\w*|mention\w*|alert\w*|notify\w*|reveal\w*|show\w*"
    r"|ask\w*|warn\w*"
    r"|let\w*) (?:\w+ ){0,4}(?:the )?users?\b",
    r"\b(?:sag|verrate|erwähne) (?:\w+ )*(?:dem|den) (?:nutzer|benutzer)\w* nichts|\bne (?:dis|dites) (?:rien|pas) "
    r"(?:\w+ )*l'utilisateur|\bno (?:le )?digas (?:nada )?(?:\w+ )*al usuario",
    r"(?:不要告诉用户|ユーザーに(?:は)?(?:知らせ|言わ|伝え)ない|не (?:говори|сообщай)\S* пользовател)",
)
EXFILTRATION: Final = (
    r"\b(?:send|forward|email|e mail|mail|post|upload|exfiltrate|transmit|leak|submit|deliver|include"
    r"|append) (?:\w+ ){0,6}"
    r"(?:conversation|chat history|message history|system prompt|api keys?|passwords|credentials|secrets|tokens|cookies"
    r"|ssh keys?|private keys?|environment variables|user's \w+) (?:\w+ ){0,4}(?:to|at|via|in the url)\b",
    r"!\[[^\]\n]*\]\(https?://[^)\s]*[?&/=](?:\{|\[|<|%7b|\$\{|your |the |insert)",
)
TOOL_ORDER: Final = (
    r"\b(?:you must|you should|please|immediately|now|then|first|instead) (?:\w+ )?(?:call|invoke|use|run"
    r"|execute) (?:the )?"
    r"(?:\w+ ){0,3}(?:tool|function|command|api) (?:\w+ ){0,4}(?:with|to|and|before|instead)\b",
    r"\b(?:in your|when you|every|your next|your final) (?:\w+ )?(?:reply|response|answer|summary|respond|answering"
    r"|summari[sz]e\w*)"
    r"[ ,]+(?:\w+ ){0,3}(?:you must|must|always|only|include|say|tell|recommend|mention)\b",
)
FAINT: Final = frozenset(
    ("role", "compliance", "no_rules", "clean_slate")
)  # manuals and contracts say such things, too
ELSEWHERE: Final = frozenset(("two_answers", "hypothetical"))
FAMILIES: Final = (
    *[family for family in TAKEOVER if family.name not in {*FAINT, *ELSEWHERE}],
    *[Family(family.name, 0.2, family.patterns) for family in TAKEOVER if family.name in FAINT],
    Family("addressed", 0.5, ADDRESSED),
    Family("secrecy", 0.6, SECRECY),
    Family("exfiltration", 0.6, EXFILTRATION),
    Family("tool_order", 0.4, TOOL_ORDER),
)
DETECTOR: Final = Detector(sorted(FAMILIES, key=lambda family: -family.weight))


@dataclass(frozen=True, slots=True)
class IndirectInjection:
    """Scores how surely a tool's result or a retrieved text tries to instruct the assistant."""

    threshold: float = 0.5  # fails at this score
    all_turns: bool = False  # look at every tool's result, not only at those since the last answer

    requires: ClassVar[tuple[str, ...]] = ("content",)
    scale: ClassVar[str] = "0 … 1 sure"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        texts = list(dict.fromkeys(filter(None, self._texts(exchange))))
        if not texts:
            return ()
        return (judgement("indirect_injection", DETECTOR.found("\n".join(texts)), self.threshold),)

    def _texts(self, exchange: Exchange) -> Iterator[str]:
        messages = exchange.input_messages
        if not self.all_turns:
            messages = messages[_after_last_answer(messages) :]
        for message in messages:
            for part in message.parts:
                yield from _of_tool(message, part)
        for message in exchange.output_messages:
            for part in message.parts:
                yield from strings_in(part.server_tool_call_response)
        if exchange.context_source != "tools":  # those are the results themselves, of every turn
            yield from exchange.context


def _after_last_answer(messages: tuple[Message, ...]) -> int:
    answers = [position for position, message in enumerate(messages) if message.role == "assistant"]
    return answers[-1] + 1 if answers else 0


def _of_tool(message: Message, part: Part) -> Iterator[str]:
    """What a tool said in this part; whoever hands it on, and whether as text or as JSON."""
    if message.role == "tool" and part.content:
        yield part.content
    yield from strings_in(part.response)
    yield from strings_in(part.server_tool_call_response)
