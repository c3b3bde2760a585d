"""Which language is the answer in, and is it the one it should be in? Letters tell most, common words the rest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

import re2

from pipeline.records import Evaluation, Exchange, Message, question_of, text_of
from processors.options import check_choice
from processors.prose import MAX_CHARACTERS, prose_of

MIN_WORDS: Final = 20  # of an answer; fewer tell too little
MIN_ASKED: Final = 5  # of a question, which is short by nature
MIN_LETTERS: Final = 4  # of a script that is one language's own
DOMINANT: Final = 0.7  # of all letters, in one script
MIN_SHARE: Final = 0.15  # of the words are the commonest of the language
LONGEST_WORD: Final = 40  # where no space comes for so long, words have none between them
MARGIN: Final = 2.0  # times the next language; below, a text is mixed or of neither

# The commonest words of each language. The last ones are here so that they are not taken for their neighbours; they are
# too few to be named by.
COMMON: Final[Mapping[str, str]] = {
    "en": "the of and to in is that it for as with on are be this by not you or from have which was but an they"
    " can will we your at has their if would there what when how do its all more so also these into than"
    " about each should who my me he she his her been were i a no use",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus"
    " er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder"
    " aber vor zur bis mehr durch man sein wurde wenn kann diese dieser dieses ich du wir ihr ihre wo was"
    " warum können hier dann",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont qu à"
    " avec aux son ou mais comme on tout nous sa fait été aussi leur bien peut ces y deux elle être"
    " cette vous je sans donc si quand où pourquoi comment quelle quel votre vos",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si"
    " sin sobre este ya entre cuando todo esta ser son también fue había era muy hasta desde está qué cómo"
    " cuál dónde puede hay tiene nos porque yo tu eso esto ese",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou"
    " quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos seus quem nas me"
    " esse eles você essa num nem suas às são está é ser qual onde pode isto este esta foi tem",
    "it": "di e il la che in a per un è del non con si una le i da dei al come sono nel alla della più anche ma"
    " se ha lo gli dalla questo questa cui su o delle nella dell all ne tra essere io loro ci ancora"
    " dove quando quale cosa perché può molto degli ai suo sua tutti fare",
    "nl": "de het een en van in is dat op te met voor zijn die aan niet er om ook als maar dan bij uit nog naar"
    " of door worden over heeft hij wordt was deze kan ik je we wij wat hoe waar waarom hebben zou dit meer"
    " tot u jij mijn zij moet geen zo wel daar ze hun zich",
    "pl": "i w na z się do nie to że o jest jak po co za od przez ale dla tak tym być może ich jego już oraz"
    " które który która przy czy tylko ten też są ma jej było był kiedy gdzie dlaczego można przed pod ze"
    " tego tej ja ty my jako więc aby gdy lub te",
    "tr": "ve bir bu da de için ile çok olarak daha gibi kadar olan ne ama en o mi var değil sonra şu her ki ya"
    " veya hem nasıl neden nerede olduğu olduğunda olur ise diye kendi göre bunu ben sen biz siz onun şey"
    " zaman iki böyle",
    "sv": "och i att det som en på är av för med till den har de inte om ett han var så kan jag från vi sig när"
    " där hur man eller ska du vad också men",
    "da": "og i at det er en til af på de for den med ikke der har som et var jeg han vi sig fra kan om når hvor"
    " hvad så du eller også men sin skal deg av ble",
    "cs": "a se v na je že s z do o to i ve jako za od by pro po si jsou ale které k byl nebo když tak jeho který"
    " jsem co aby může není",
    "ro": "de și în a la cu pe nu că o din care se un pentru mai este sunt fi al ce sau dar prin când după ca lui"
    " acest îl",
    "ca": "de la i el que a en les els un per una amb és del no es al dels se va més seu com però o són ha li"
    " quan aquest aquesta",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena tersebut bisa ada"
    " mereka lebih kata oleh atau adalah anda",
    "fi": "ja on ei se että hän en joka niin kuin oli mutta tai kun myös ovat sen ole mitä voi jos sitä sekä",
    "hu": "a az és hogy nem is egy van meg ez de csak már ha azt kell mint vagy el volt ezt amit",
    "af": "die is nie vir en van in te om by ek was sy as kan deur met word moet hierdie",
    "gl": "de o a que e do da en un para con non unha os se na por as dos como máis ao das ou ten ser foi está",
    "sk": "a sa na je v že to so do s z sú pre ale ako nie by ktoré k o alebo bol pri",
    "hr": "i u je na se da su za od s o a koji nije ili bi kao ali to može",
    "lt": "ir yra į su kad iš tai ar kaip už bet nuo per nėra arba apie tik o",
    "et": "ja on ei et see kui ka oma mis või aga nii siis oli seda ning",
    "eo": "la de kaj en estas al ne por kun ke mi vi oni tiu aŭ el",
}
OTHERS: Final = ("sv", "da", "cs", "ro", "ca", "id", "fi", "hu", "af", "gl", "sk", "hr", "lt", "et", "eo")
# Letters that hardly any other of these languages has; each counts like a common word.
LETTERS: Final[Mapping[str, str]] = {
    letter: language
    for language, letters in (
        ("de", "ß"),
        ("es", "ñ¿¡"),
        ("pt", "ã"),
        ("pl", "łąężźśń"),
        ("tr", "ığ"),
        ("cs", "řůě"),
        ("ro", "ășț"),
        ("hu", "őű"),
        ("lt", "ėįųū"),
    )
    for letter in letters
}
TELLING: Final = re.compile(f"[{''.join(LETTERS)}]")
WORD: Final = re.compile(r"\w+")
NOT_LATIN: Final = re.compile(r"[^\x00-\u036f\u1e00-\u1eff\u2000-\u2bff\W\d_]+")
LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
SPACELESS: Final = 3  # Latin letters that a sign of Chinese, Japanese or Korean is worth
# The high byte of a letter in UTF-16 → its script; counting bytes is many times cheaper than matching letters.
SCRIPTS: Final[Mapping[str, Sequence[int]]] = {
    "cyrillic": (0x04,),
    "arabic": (0x06,),
    "devanagari": (0x09,),
    "kana": (0x30,),
    "han": range(0x34, 0xA0),
    "hangul": range(0xAC, 0xD8),
}
# Letters and words of other languages in the same script, and for Cyrillic what makes it Russian.
NOT_RUSSIAN: Final = re.compile(r"[іїєґўђјљњћџѓќәғқңөұүһ]")
RUSSIAN: Final = re.compile(r"[ыэё]|\b(?:что|это|где|для|он|они|если|чем|как(?:ая|ой|ое|ие)|почему|можно|сколько)\b")
NOT_ARABIC: Final = re.compile(r"[پچژگکیٹڈڑںے]")
NOT_HINDI: Final = re.compile(r"[ळ\u0980-\u09ff]|आहे|छन्|(?:^|\s)(?:छ|आणि|र)(?:[\s।]|$)")
MIXED: Final = "mixed"
KANA: Final = (0.02, 0.35)  # of Chinese signs and kana: up to here Chinese, from here on Japanese

LANGUAGES: Final = tuple(
    sorted(("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "zh", "ja", "ko", "ar", "hi"))
)
# Whoever names a language may want the answer in it, however the question is put.
NAMES_A_LANGUAGE: Final = re2.compile(
    r"(?i)\b(?:languages?|english|german|french|spanish|portuguese|italian|dutch|polish|turkish|russian|chinese|mandarin"
    r"|japanese|korean|arabic|hindi|translat\w*|sprachen?|deutsch\w*|englisch\w*|französisch\w*|spanisch\w*|italienisch\w*"
    r"|russisch\w*|übersetz\w*|langues?|français\w*|anglais\w*|allemand\w*|espagnol\w*|tradui\w*|traduc\w*|traduz\w*"
    r"|idiomas?|español\w*|inglés\w*|alemán|francés|línguas?|português|inglês|lingua|italiano|inglese|tedesco|francese"
    r"|taal|nederlands|engels|duits|frans|vertaal\w*|vertal\w*|język\w*|polsk\w*|angielsk\w*|niemieck\w*|tłumacz\w*"
    r"|przetłumacz\w*|türkçe\w*|ingilizce\w*|almanca\w*|çevir\w*)\b"
    r"|язык|русск|английск|немецк|перевед|перевод|语言|英语|英文|中文|汉语|翻译|言語|英語|日本語|中国語|翻訳|訳し|한국어|영어|번역"
    r"|اللغة|العربية|الإنجليزية|ترجم|भाषा|हिंदी|हिन्दी|अंग्रेज|अनुवाद"
)


def _shared() -> dict[str, tuple[str, ...]]:
    """Word → the languages it is common in."""
    languages: dict[str, tuple[str, ...]] = {}
    for language, words in COMMON.items():
        for word in set(words.split()):
            languages[word] = (*languages.get(word, ()), language)
    return languages


def _script_of() -> bytes:
    table = bytearray(256)
    for number, blocks in enumerate(SCRIPTS.values(), 1):
        for block in blocks:
            table[block] = number
    return bytes(table)


SPEAKERS: Final = _shared()
SCRIPT_OF: Final = _script_of()


@dataclass(frozen=True, slots=True)
class Language:
    """Tells the language of the answer, and whether it is the one of the question or another that is expected."""

    expected: str | None = None  # the language it should be in, such as "de"; None: that of the question

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "share of choices in the right language"

    def __post_init__(self) -> None:
        if self.expected is not None:
            check_choice("expected", self.expected, LANGUAGES)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        if exchange.output_type == "json":  # data is in whatever language its source is
            return ()
        found = [language_of(prose_of(text_of((message,)))) for message in exchange.output_messages]
        languages = list(filter(None, found))
        wanted = (self.expected or _asked_in(exchange)) if languages else None
        if not wanted:
            return ()
        share = languages.count(wanted) / len(languages)
        other = next((each for each in languages if each != wanted), None)
        how = "expected" if self.expected else "asked in"
        explanation = f"{other}, {how} {wanted}" if other else wanted
        return (Evaluation("language", round(share, 4), "fail" if other else "pass", explanation),)


def _asked_in(exchange: Exchange) -> str | None:
    """The language of the question; None where it is mixed, or where a language is named."""
    if NAMES_A_LANGUAGE.search(_told(exchange)):
        return None
    prose = prose_of(question_of(exchange)).strip()
    lines = prose.splitlines()
    parts = (prose, lines[0], lines[-1]) if len(lines) > 1 else (prose,)
    languages = {language for part in parts if (language := language_of(part, MIN_ASKED))}
    return languages.pop() if len(languages) == 1 else None


def _told(exchange: Exchange) -> bytes:
    """What the application and the user have said; of a long talk its end."""
    system = text_of((Message("system", exchange.system_instructions),))[:MAX_CHARACTERS]
    told = tuple(message for message in exchange.input_messages if message.role in ("system", "developer", "user"))
    return f"{system}\n{text_of(told)[-MAX_CHARACTERS:]}".encode("utf-8", "replace")


@lru_cache(maxsize=8)  # several evaluators ask about the same answer, one after the other
def language_of(prose: str, least: int = MIN_WORDS) -> str | None:
    """The one language that the prose is in; None where it is mixed, too short, or in a language not known here."""
    middle = len(prose) // 2
    space = prose.find(" ", middle, middle + LONGEST_WORD)
    middle = middle if space < 0 else space
    halves = {half: _language(half, least // 2) for half in (prose[:middle], prose[middle:])}
    found = set(filter(None, halves.values()))
    if len(found) > 1 or MIXED in found:
        return None
    whole = next(iter(found)) if all(halves.values()) else _language(prose, least)
    if whole is None or whole == MIXED or not found <= {whole}:
        return None
    return whole if all(named or _may_be(whole, half) for half, named in halves.items()) else None


def _language(prose: str, least: int) -> str | None:
    foreign = "" if prose.isascii() else "".join(NOT_LATIN.findall(prose))
    if not foreign:
        return _by_words(prose, least)
    signs = foreign.encode("utf-16-be", "replace")[::2].translate(SCRIPT_OF)
    letters = {name: signs.count(number) for number, name in enumerate(SCRIPTS, 1)}
    kana = letters.pop("kana")
    cjk = letters.pop("han") + kana
    letters |= {"cjk": SPACELESS * cjk, "hangul": SPACELESS * letters["hangul"], "unknown": signs.count(0)}
    letters["latin"] = sum(map(len, LATIN.findall(prose)))
    script, count = max(letters.items(), key=lambda item: item[1])
    if count < MIN_LETTERS or count < DOMINANT * sum(letters.values()):
        return None
    return _by_words(prose, least) if script == "latin" else _by_script(script, prose.lower(), kana / (cjk or 1))


def _by_script(script: str, prose: str, kana: float) -> str | None:
    match script:
        case "cjk":
            return "zh" if kana <= KANA[0] else "ja" if kana >= KANA[1] else MIXED
        case "hangul":
            return "ko"
        case "cyrillic":
            return "ru" if RUSSIAN.search(prose) and not NOT_RUSSIAN.search(prose) else None
        case "arabic":
            return None if NOT_ARABIC.search(prose) else "ar"
        case "devanagari":
            return None if NOT_HINDI.search(prose) else "hi"
        case _:
            return None


def _may_be(language: str, prose: str) -> bool:
    """Whether no other language is likelier, for a part that told too little to be named."""
    if language not in COMMON:
        return True
    scores, hits, _ = _counted(prose)
    best = max(scores, key=scores.__getitem__, default=language)
    return hits.get(best, 0) < 3 or best == language


def _by_words(prose: str, least: int) -> str | None:
    scores, hits, words = _counted(prose)
    return _winner(scores, hits, words) if words >= least else None


def _counted(prose: str) -> tuple[Mapping[str, float], Mapping[str, int], int]:
    """By language what its common words and letters say, and how many there are; and the number of words."""
    prose = prose.lower()
    words = WORD.findall(prose)
    scores: dict[str, float] = defaultdict(float)
    hits: dict[str, int] = defaultdict(int)
    for languages, times in Counter(map(SPEAKERS.get, words)).items():
        for language in languages or ():
            scores[language] += times / len(languages or ()) ** 2  # a word that many share says little
            hits[language] += times
    for letter in () if prose.isascii() else TELLING.findall(prose):
        scores[LETTERS[letter]] += 1
        hits[LETTERS[letter]] += 1
    return scores, hits, len(words)


def _winner(scores: Mapping[str, float], hits: Mapping[str, int], words: int) -> str | None:
    (best, score), (_, second) = sorted((*scores.items(), ("", 0.0), ("", 0.0)), key=lambda item: -item[1])[:2]
    if score < MARGIN * second or hits.get(best, 0) < max(2, MIN_SHARE * words) or best in OTHERS:
        return None
    return best
