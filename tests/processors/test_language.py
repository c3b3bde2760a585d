from __future__ import annotations

import time
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Exchange, Message, Part
from processors.language import COMMON, LANGUAGES, MIN_ASKED, Language, language_of
from processors.prose import prose_of
from tests.support.records import an_exchange, answer

TEXTS = {
    "en": "A sidecar stands beside the process it serves and takes over work that the process should not "
    "have to do itself. It forwards what it is given, keeps a copy, and reads the copy when there is "
    "time.",
    "de": "Ein Begleiter steht neben dem Prozess, dem er dient, und nimmt ihm Arbeit ab, die dieser nicht "
    "selbst tun sollte. Er leitet weiter, was er bekommt, behält eine Kopie und liest sie, wenn Zeit "
    "dafür ist.",
    "fr": "Un compagnon se tient à côté du processus qu'il sert et se charge du travail que celui-ci ne "
    "devrait pas faire lui-même. Il transmet ce qu'on lui donne, garde une copie et la lit quand il a "
    "le temps.",
    "es": "Un compañero está junto al proceso al que sirve y se encarga del trabajo que este no debería "
    "hacer por sí mismo. Reenvía lo que recibe, guarda una copia y la lee cuando hay tiempo para "
    "ello.",
    "pt": "Um companheiro fica ao lado do processo que serve e assume o trabalho que este não deveria fazer "
    "por si mesmo. Ele encaminha o que recebe, guarda uma cópia e a lê quando há tempo para isso.",
    "it": "Un compagno sta accanto al processo che serve e si occupa del lavoro che questo non dovrebbe "
    "fare da solo. Inoltra ciò che riceve, ne conserva una copia e la legge quando c'è tempo per "
    "farlo.",
    "nl": "Een metgezel staat naast het proces dat hij dient en neemt werk over dat het proces niet zelf "
    "zou moeten doen. Hij stuurt door wat hij krijgt, bewaart een kopie en leest die als er tijd voor "
    "is.",
    "pl": "Towarzysz stoi obok procesu, któremu służy, i przejmuje pracę, której ten nie powinien wykonywać "
    "sam. Przekazuje to, co dostaje, zachowuje kopię i czyta ją, kiedy jest na to czas.",
    "tr": "Bir yardımcı, hizmet ettiği sürecin yanında durur ve sürecin kendisinin yapmaması gereken işleri "
    "üstlenir. Kendisine verileni iletir, bir kopyasını saklar ve zaman olduğunda bu kopyayı okur.",
    "ru": "Помощник стоит рядом с процессом, которому он служит, и берёт на себя работу, которую тот не "
    "должен делать сам. Он передаёт то, что получает, хранит копию и читает её, когда есть время.",
    "zh": "辅助进程站在它所服务的进程旁边，承担那个进程不应该自己做的工作。它转发收到的内容"
    "，保留一份副本，并在有时间的时候阅读它。",
    "ja": "補助プロセスは、それが支えるプロセスの隣に立ち、そのプロセスが自分でするべきでは"
    "ない仕事を引き受けます。受け取ったものを転送し、写しを残して、時間があるときに読みます。",
    "ko": "보조 프로세스는 자신이 돕는 프로세스 옆에 서서 그 프로세스가 직접 하지 말아야 할 일을 맡는다. "
    "받은 것을 전달하고 사본을 보관하며 시간이 있을 때 그것을 읽는다.",
    "ar": "يقف المساعد بجانب العملية التي يخدمها ويتولى العمل الذي لا ينبغي أن تقوم به بنفسها. إنه يمرر ما "
    "يتلقاه ويحتفظ بنسخة منه ويقرؤها عندما يتوفر الوقت لذلك.",
    "hi": "एक सहायक उस प्रक्रिया के पास खड़ा रहता है जिसकी वह सेवा करता है और वह काम संभालता है जो उसे "
    "स्वयं नहीं करना चाहिए। वह जो मिलता है उसे आगे भेजता है और एक प्रति रखता है।",
}
OTHERS = {
    "sv": "En följeslagare står bredvid processen som den tjänar och tar över arbete som processen inte "
    "borde behöva göra själv. Den skickar vidare det den får, behåller en kopia och läser den när det "
    "finns tid.",
    "da": "En ledsager står ved siden af den proces, den tjener, og overtager arbejde, som processen ikke "
    "selv burde udføre. Den sender videre, hvad den får, beholder en kopi og læser den, når der er "
    "tid til det.",
    "no": "En følgesvenn står ved siden av prosessen den tjener, og tar over arbeid som prosessen ikke selv "
    "burde gjøre. Den sender videre det den får, beholder en kopi og leser den når det er tid til "
    "det.",
    "cs": "Pomocník stojí vedle procesu, kterému slouží, a přebírá práci, kterou by proces neměl dělat sám. "
    "Předává to, co dostane, uchovává kopii a čte ji, když je na to čas a když se to hodí.",
    "ro": "Un însoțitor stă lângă procesul pe care îl servește și preia munca pe care acesta nu ar trebui "
    "să o facă singur. Transmite ceea ce primește, păstrează o copie și o citește când are timp.",
    "ca": "Un company està al costat del procés que serveix i s'encarrega de la feina que aquest no hauria "
    "de fer per si mateix. Reenvia el que rep, guarda una còpia i la llegeix quan hi ha temps.",
    "id": "Pendamping berdiri di samping proses yang dilayaninya dan mengambil alih pekerjaan yang tidak "
    "seharusnya dilakukan sendiri oleh proses itu. Ia meneruskan apa yang diterima, menyimpan "
    "salinan, dan membacanya ketika ada waktu.",
    "fi": "Apulainen seisoo palvelemansa prosessin vieressä ja ottaa hoitaakseen työn, jota prosessin ei "
    "pitäisi tehdä itse. Se välittää sen, mitä se saa, säilyttää kopion ja lukee sen, kun on aikaa ja "
    "kun se sopii.",
    "hu": "A segítő a folyamat mellett áll, amelyet kiszolgál, és átveszi azt a munkát, amelyet a "
    "folyamatnak nem kellene magának elvégeznie. Továbbítja, amit kap, megtart egy másolatot, és "
    "elolvassa, ha van rá idő.",
    "uk": "Помічник стоїть поруч із процесом, якому він служить, і бере на себе роботу, яку той не повинен "
    "робити сам. Він передає те, що отримує, зберігає копію і читає її, коли є час.",
    "bg": "Помощникът стои до процеса, на който служи, и поема работата, която той не би трябвало да върши "
    "сам. Той препраща това, което получава, пази копие и го чете, когато има време.",
    "sr": "Помоћник стоји поред процеса којем служи и преузима посао који тај процес не би требало да ради "
    "сам. Он прослеђује оно што добије, чува копију и чита је када има времена.",
    "fa": "دستیار در کنار فرایندی که به آن خدمت می‌کند می‌ایستد و کاری را که آن فرایند نباید خودش انجام دهد "
    "بر عهده می‌گیرد. هرچه دریافت می‌کند را می‌فرستد و یک نسخه نگه می‌دارد و وقتی فرصت باشد می‌خواند.",
    "mr": "एक सहायक ज्या प्रक्रियेची सेवा करतो तिच्या शेजारी उभा असतो आणि तिने स्वतः करू नये असे काम "
    "सांभाळतो. त्याला जे मिळते ते तो पुढे पाठवतो आणि त्याची एक प्रत ठेवतो आणि वेळ असेल तेव्हा ती "
    "वाचतो. हे चांगले आहे.",
    "ne": "एउटा सहायक आफूले सेवा गर्ने प्रक्रियाको छेउमा उभिन्छ र त्यो प्रक्रियाले आफैं गर्नु नपर्ने काम सम्हाल्छ। यो राम्रो छ।",
    "vi": "Một trợ lý đứng bên cạnh tiến trình mà nó phục vụ và đảm nhận công việc mà tiến trình đó không "
    "nên tự làm. Nó chuyển tiếp những gì nhận được, giữ một bản sao và đọc khi có thời gian.",
    "el": "Ένας βοηθός στέκεται δίπλα στη διεργασία που υπηρετεί και αναλαμβάνει την εργασία που εκείνη δεν "
    "θα έπρεπε να κάνει μόνη της.",
    "th": "ผู้ช่วยยืนอยู่ข้างกระบวนการที่มันรับใช้และรับงานที่กระบวนการไม่ควรทำเอง",
    "la": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco "
    "laboris nisi ut aliquip.",
}
QUESTIONS = {
    "en": "What is the capital of France?",
    "de": "Was ist die Hauptstadt von Frankreich?",
    "fr": "Quelle est la capitale de la France ?",
    "es": "¿Cuál es la capital de Francia?",
    "pt": "Qual é a capital da França?",
    "it": "Qual è la capitale della Francia?",
    "nl": "Wat is de hoofdstad van Frankrijk?",
    "pl": "Jaka jest stolica Francji i gdzie leży?",
    "tr": "Fransa'nın başkenti neresidir ve nasıl bir yer?",
    "ru": "Какая столица у Франции?",
    "zh": "法国的首都是哪里？",
    "ja": "フランスの首都はどこですか？",
    "ko": "프랑스의 수도는 어디입니까?",
    "ar": "ما هي عاصمة فرنسا؟",
    "hi": "फ्रांस की राजधानी क्या है?",
}
CODE = "```python\nfor item in the_list_of_items: print(item and not is_in(the, of, to, it))\n```\n"


def said(text: str, asked: str = "", system: str = "") -> Exchange:
    return an_exchange(
        system_instructions=(Part("text", content=system),),
        input_messages=(Message("user", (Part("text", content=asked),)),),
        output_messages=(answer(text),),
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_told_by_its_prose_and_by_a_question(language: str) -> None:
    assert language_of(TEXTS[language]) == language
    assert language_of(QUESTIONS[language], MIN_ASKED) == language
    assert language_of(TEXTS[language] * 30) == language


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_that_is_not_known_here_is_not_taken_for_another(language: str) -> None:
    assert language_of(OTHERS[language]) is None


def test_a_mixed_text_is_of_no_language() -> None:
    pairs = permutations(LANGUAGES, 2)
    assert [pair for pair in pairs if language_of(" ".join(TEXTS[each] for each in pair))] == []


def test_a_half_that_is_too_close_to_call_may_still_speak_against_the_other() -> None:
    french = "J'ai lu le document et il est presque fini, il manque la conclusion, je pense."
    german = "Es wäre schön, wenn du das bis Montag machen könntest, denn danach habe ich keine Zeit mehr dafür."
    assert language_of(f"{french} {german}") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_addresses_and_quotations_do_not_count(language: str) -> None:
    other = "de" if language == "en" else "en"
    text = f'{CODE}{TEXTS[language]} https://example.com/the/of/and/to "{TEXTS[other]}"\n{CODE}'
    assert language_of(prose_of(text)) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK.",
        "Paris",
        "The answer is 42.",
        "1 2 3 " * 20,
        "x y z " * 20,
        "🙂" * 50,
        "\ud800 " * 30,
        "Ω≈ç√" * 20,
        "ㅋㅋ",
    ],
)
def test_what_says_too_little_is_of_no_language(text: str) -> None:
    assert language_of(text) is None


def test_a_few_foreign_words_change_nothing() -> None:
    assert language_of(TEXTS["de"] + " Das Framework heißt Sidelight.") == "de"
    assert language_of(TEXTS["en"] + " It is called 東京 there.") == "en"
    assert language_of("Pythonのasyncioを使うと、多くの仕事を同時に進めることができます。") == "ja"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_in_the_language_of_the_question_passes(language: str) -> None:
    found = Language().process(said(TEXTS[language], QUESTIONS[language]))
    assert found == (Evaluation("language", 1.0, "pass", language),)


def test_an_answer_in_another_language_fails() -> None:
    found = Language().process(said(TEXTS["en"], QUESTIONS["de"]))
    assert found == (Evaluation("language", 0.0, "fail", "en, asked in de"),)


def test_what_is_expected_comes_before_what_was_asked() -> None:
    found = Language(expected="fr").process(said(TEXTS["en"], QUESTIONS["en"]))
    assert found == (Evaluation("language", 0.0, "fail", "en, expected fr"),)
    assert Language(expected="en").process(said(TEXTS["en"]))[0].score_label == "pass"


def test_the_score_is_the_share_of_choices_in_the_language() -> None:
    choices = (answer(TEXTS["en"]), answer(TEXTS["de"]), answer("Ja."))
    found = Language(expected="en").process(an_exchange(output_messages=choices))
    assert found == (Evaluation("language", 0.5, "fail", "de, expected en"),)


@pytest.mark.parametrize(
    ("asked", "system"),
    [
        ("", ""),
        ("42?", ""),
        ("Please say in German what a sidecar is for.", ""),
        ("Translate this for me, please, it is short: hello", ""),
        ("Was ist das hier auf Englisch?", ""),
        (QUESTIONS["de"], "Always answer in English."),
        ("请把这个翻译成英语", ""),
        ("What does this say about the matter at hand?\n" + TEXTS["fr"], ""),
    ],
)
def test_a_question_that_does_not_tell_the_language_wanted_is_not_judged(asked: str, system: str) -> None:
    assert Language().process(said(TEXTS["en"], asked, system)) == ()


def test_an_answer_of_no_language_is_not_judged() -> None:
    assert Language(expected="en").process(said("Paris.")) == ()


def test_an_answer_that_is_data_is_not_judged() -> None:
    exchange = an_exchange(output_messages=(answer(TEXTS["en"]),), output_type="json")
    assert Language(expected="de").process(exchange) == ()


def test_an_expected_language_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="expected is 'english'; choose one of ar, de, en, "):
        Language(expected="english")


def test_every_word_is_in_lower_case_and_could_be_found() -> None:
    assert all(word == word.lower() and word.isalpha() for words in COMMON.values() for word in words.split())


@given(st.text())
def test_any_text_is_of_one_language_or_none(text: str) -> None:
    assert language_of(text) in (*LANGUAGES, None)


@pytest.mark.parametrize("unit", ["a", "a ", "ß", "и ", "の", "漢", "한 ", "\ud800", "ë ", "da de "])
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * 20_000
    started = time.perf_counter()
    Language().process(said(text, text, text))
    assert time.perf_counter() - started < 0.5
