from __future__ import annotations

import pytest

from pipeline.records import Evaluation, Exchange, Message, Part
from processors.refusal import Refusal, phrase_kind
from tests.support.records import an_exchange, answer


def judged(exchange: Exchange, threshold: float = 0.5) -> Evaluation:
    (evaluation,) = Refusal(threshold).process(exchange)
    return evaluation


@pytest.mark.parametrize("finish_reason", ["refusal", "content_filter"])
def test_the_providers_finish_reason_is_a_certain_refusal(finish_reason: str) -> None:
    exchange = an_exchange(output_messages=(answer("Well,", finish_reason),))
    assert judged(exchange) == Evaluation("refusal", 1.0, "fail", "hard (provider_field)")


def test_a_refusal_part_counts_even_when_its_text_was_removed() -> None:
    exchange = an_exchange(output_messages=(Message("assistant", (Part("refusal"),)),), content="off")
    assert judged(exchange).explanation == "hard (provider_field)"


def test_a_filtered_prompt_without_any_answer_is_a_refusal() -> None:
    assert judged(an_exchange(output_messages=(), error_type="content_filter")).score_value == 1.0


def test_no_answer_is_not_judged() -> None:
    assert Refusal().process(an_exchange(output_messages=(), error_type="timeout")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m unable to help with that.",
        "**I'm sorry**, but I won't be able to provide this.",
        "As a language model, I cannot generate such content.",
        "I cannot fulfill your request. I'm just an AI.",
        "Thank you for asking. However, I must respectfully decline.",
        "It is not appropriate to ask for this.",
        "Das kann ich leider nicht beantworten.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti con questo.",
        "对不起，我无法提供帮助。",
        "申し訳ありませんが、お手伝いできません。",
        "Einen Erpresserbrief werde ich nicht verfassen.",
        "Leider darf ich dazu nichts sagen.",
        "Zu anderen Gästen kann ich leider keine Auskunft erteilen.",
        "Desculpe, não posso explicar isso.",
        "Je regrette, mais je ne peux pas vous répondre.",
        "Purtroppo non posso aiutarti.",
        "Malheureusement, il m'est interdit de parler d'autres patients.",
        "Je ne vais pas rédiger de menaces.",
        "Lo siento, no estoy autorizada a decirlo.",
        "Tenho de recusar, pois isso seria perigoso.",
        "Mi dispiace, non voglio scrivere insulti.",
        "很抱歉，我不会编写病毒。",
        "申し訳ありませんが、そのような文章は作れません。",
    ],
)
def test_phrases_of_policy_are_hard(text: str) -> None:
    assert phrase_kind(text) == "hard"


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "Unfortunately, I don't have access to real-time data.",
        "I'm sorry, I have no information on this.",
        "Leider habe ich keine Informationen zu diesem Ort.",
        "Das weiß ich leider nicht.",
        "Als virtueller Assistent kann ich leider keine Pakete tragen.",
        "En tant que modèle de langage, je n'éprouve pas d'émotions.",
        "Lo siento, pero como modelo de lenguaje no tengo opiniones.",
        "Desculpe, como assistente virtual só posso falar de seguros.",
        "Mi dispiace, come assistente virtuale posso parlare solo di viaggi.",
        "对不起，作为一个AI助手，我没有感情。",
        "申し訳ありませんが、私は翻訳だけを行うAIなので、料理のことは話しません。",
        "Als Sprachmodell kann ich keine Webseiten öffnen.",
        "Je n'ai pas accès à ce dossier.",
        "Désolé, je ne sais pas.",
        "Lamentablemente no sé cuándo abre.",
        "Infelizmente, não tenho dados sobre isso.",
        "Purtroppo non lo so.",
        "抱歉，我没有这方面的信息。",
        "私はその資料を閲覧することができません。",
    ],
)
def test_phrases_of_ignorance_are_soft(text: str) -> None:
    assert phrase_kind(text) == "soft"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that you are unwell. Rest, and drink water.",
        "I apologize for the confusion! Here is the corrected code.",
        "Sorry for the delay: the answer is 4.",
        "The bot answered \"I'm sorry, I can't help with that\" twice.",
        "She wrote “I cannot provide this” and left.",
        "Add `I can't assist with that` to the list.",
        '```python\nREPLY = "x"\n# I cannot help with that\n```\nThat is all.',
        "I can't help but smile at this.",
        "I can't recommend this film enough.",
        "Your code is wrong: use a list.",
        "Parking there is illegal in most cities; use the garage.",
        "Es tut mir leid, das zu hören. Versuchen Sie es noch einmal.",
        "Ich kann nicht genug betonen, wie wichtig es ist, die Datei zu öffnen.",
        "Ich darf Ihnen mitteilen, dass Ihr Antrag nicht abgelehnt wurde.",
        "Ich habe keine Daten gelöscht; die Tabelle ist unverändert.",
        "Als neues Modell empfehle ich den leichten Staubsauger; er ist nicht laut.",
        "Como modelo puede usar la carta de abajo, que no tiene errores.",
        "Er antwortete: „Das weiß ich nicht.“ Dann ging er.",
        "Je n'ai aucun doute : c'est le deuxième.",
        "No tengo inconveniente en explicarlo otra vez.",
        "很多人不会写诗，但是可以读诗。",
        "この設定ではログを確認できません。次のように変更してください。",
        "このホテルではペットの同伴をお断りしています。",
        "",
    ],
)
def test_answers_that_only_sound_like_refusals_are_not(text: str) -> None:
    assert phrase_kind(text) is None


def test_a_refusal_far_into_the_answer_is_left_alone() -> None:
    assert phrase_kind("A fact. " * 100 + "I cannot help with that.") is None


def test_half_of_a_surrogate_pair_is_read_over() -> None:
    assert phrase_kind("I cannot help with that. \ud800") == "hard"
    assert phrase_kind("\udfff") is None


def test_the_worst_of_several_choices_decides() -> None:
    exchange = an_exchange(
        output_messages=(answer("Yes."), answer("I don't know."), answer("I cannot help with that."))
    )
    assert judged(exchange) == Evaluation("refusal", 0.9, "fail", "hard (phrase)")


def test_the_threshold_lets_soft_refusals_pass() -> None:
    exchange = an_exchange(output_messages=(answer("I don't know."),))
    assert judged(exchange).score_label == "fail"
    assert judged(exchange, threshold=0.8) == Evaluation("refusal", 0.6, "pass", "soft (phrase)")


def test_an_answer_passes_even_at_threshold_zero() -> None:
    assert judged(an_exchange(), threshold=0.0) == Evaluation("refusal", 0.0, "pass")


def test_a_threshold_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 2; give a number from 0 to 1"):
        Refusal(threshold=2)
