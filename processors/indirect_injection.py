"""Do tool results or retrieved texts give instructions? Nothing that was looked up has a reason to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, Message, Part
from processors.injection import TAKEOVER, Detector, Family, judgement
from processors.options import check_share
from processors.texts import strings_in

READER: Final = r"(?:ai|llm|(?:large )?language model|chatbot|bot|chatgpt|copilot)"
READER_ELSEWHERE: Final = (  # in German, French, Spanish, Italian and Portuguese
    r"(?:ki|ai|ia|sprachmodell|chatbot|intelligence artificielle|modèle de langage|inteligencia artificial"
    r"|modelo de lenguaje|intelligenza artificiale|modello linguistico|inteligência artificial|modelo de linguagem"
    r"|(?:assistant|asistente|assistente) (?:de |di )?(?:ia|virtuel|virtuale?))\b"
)
ADDRESSED: Final = (  # to the model, by a text that should know nothing of it
    r"\b(?:important |urgent |critical )?(?:note|message|instructions?|notice|attention|reminder|information|todo|task"
    rf"|hint)s? (?:to|for|from) (?:the |any |all )*{READER}s?\b",
    rf"\b(?:attention|dear|hey|hello|hi) (?:the |any |all |\w+ )?{READER}s?\b",
    rf"\b(?:if|when|since|as) you(?:'re| are) an? (?:\w+ )?(?:{READER}|assistant|agent)\b",
    rf"\b(?:{READER}|assistant|agent|model)s? (?:reading|processing|summari[sz]ing|analy[sz]ing) this\b",
    r"\bassistants?[:,]\s*(?:ignore|disregard|forget|override|you must|you should|stop what"
    r"|before you (?:answer|reply|respond))\b",
    r"\bassistant is (?:now|no longer) (?:allowed|permitted|authori[sz]ed|bound|required)\b",
    r"\b(?:an|der|die|das) (?:ki|assistent\w*|sprachmodell)\b[^.!?\n]*\banweisung",
    r"\b(?:hinweis|nachricht|anweisung|notiz|mitteilung|note|message|consigne|instruction|nota|mensaje|aviso|instrucción"
    r"|messaggio|avviso|istruzione|mensagem|instrução|instrucciones|istruzioni|instruções|instructions|anweisungen)s? "
    r"(?:an|für|pour|à|para|per|ao|al) ?(?:die |das |den |l'|le |la |el |il |o |a |all')*" + READER_ELSEWHERE,
    r"\b(?:wenn|falls) du (?:eine?|der|die) " + READER_ELSEWHERE,
    r"\bsi (?:tu es|vous êtes|eres) une? ?" + READER_ELSEWHERE + r"|\bsi eres una? " + READER_ELSEWHERE,
    r"\bse (?:sei|você é|você for|és) (?:un'|uma? |una? )" + READER_ELSEWHERE,
    r"(?:给|致|对)(?:ai|人工智能|(?:大)?语言模型)(?:助手|助理)?的?(?:指令|指示|说明|提示|消息)|ai助手请"
    r"|如果你是(?:一个|一名)?(?:ai|人工智能|(?:大)?语言模型)",
    r"(?:ai|人工知能|言語モデル)(?:アシスタント|モデル)?(?:へ(?:の指示|[:。、])|に対する指示)|アシスタントへの指示",
    r"(?:инструкц|заметк|сообщен|указан|примечан)\S* для (?:ии|ассистента|модели|нейросет)|если ты (?:- )?(?:ии|ai)\b",
)
SECRECY: Final = (
    r"\b(?:do not|don't|never|without) (?:tell|telling|inform\w*|mention\w*|alert\w*|notify\w*|reveal\w*|show\w*"
    r"|ask\w*|warn\w*"
    r"|let\w*) (?:\w+ ){0,4}(?:the )?users?\b",
    r"\b(?:assistant|ai|agent|model|you) (?:should|must|will|shall) (?:silently|secretly|quietly|covertly)\b",
    r"\b(?:sag|sage|verrate|erwähne|erzähl|erzähle) (?:\S+ ){0,3}?(?:dem|den) (?:nutzer|benutzer|anwender)\w* nicht"
    r"|\bne (?:dis|dites|révèle|révélez|montre|montrez) (?:rien|pas|jamais) (?:\S+ ){0,3}?l'utilisat"
    r"|\bno (?:(?:se )?l[oae]s? )?(?:digas|reveles|muestres|cuentes|menciones) (?:\S+ ){0,3}?al usuario"
    r"|\bnon (?:dir|riv|mostr)\w+ (?:\S+ ){0,3}?all'utente"
    r"|\bnão (?:diga|conte|revele|mostre|mencione) (?:\S+ ){0,3}?ao (?:usuário|utilizador)",
    r"(?:(?:不要|别|请勿|切勿)(?:告诉|告知|通知|提醒)用户|ユーザーに(?:は)?(?:知らせ|言わ|伝え|見せ)(?:ない|ず)"
    r"|не (?:говори|сообщай|рассказывай|показывай)\S* (?:об этом )?пользовател)",
)
INSTEAD: Final = (  # of what the user asked
    r"\b(?:ignore|disregard|forget|override) (?:the |this |your )?(?:user's|users?|previous|original|current) "
    r"(?:question|request|quer(?:y|ies)|task|prompt|message)s?\b",
    r"\byour (?:real|actual|true) (?:task|goal|job|purpose|mission) is\b"
    r"|\b(?:real|actual|true) instructions (?:are|follow)\b",
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
    Family("instead", 0.6, INSTEAD),
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
