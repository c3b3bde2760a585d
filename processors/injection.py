r"""What instructions look like that a text tries to slip in: families of patterns, each with a weight.

Patterns are phrases for folded text (`processors/texts.py`): in them a blank stands for any blanks or marks.
What may come between two words is bounded by a few words or by the end of the sentence, never by a count of
characters: large counted repetitions make RE2's automata large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Final, NamedTuple

from pipeline.records import Evaluation
from processors.texts import bounded, folded, phrase_set


class Family(NamedTuple):
    """Patterns that are one kind of sign, and how much one of them says."""

    name: str
    weight: float
    patterns: tuple[str, ...]


EARLIER = r"(?:previous|previously|prior|above|earlier|preceding|foregoing|former|initial|original|existing|past|old)"
ORDERS = (
    r"(?:instruct\w+|prompts?|directions?|directives?|rules?|guidelines?|guidance|commands?|orders?|programming"
    r"|training"
    r"|polic(?:y|ies))\b"
)
SAID = r"(?:inputs?|messages?|conversations?|context|text|data|chats?|settings|everything|information|knowledge)\b"
DROP = r"(?:ignore|ignoring|forget|disregard\w*|override|overrule|bypass|discard|neglect)"
LIMITS = (
    r"(?:rules?|restrictions?|limit(?:s|ations?)?|guidelines?|filters?|filtering|censorship|boundaries|constraints?"
    r"|confines|morals?|morality|ethics?|ethical|polic(?:y|ies)|regulations?|safeguards?|laws?|legality|principles"
    r"|inhibitions|chains|shackles|content polic\w+|prohibitions?|barriers)"
)
FREE = r"(?:unfiltered|uncensored|amoral|immoral|nonmoral|unrestricted|unethical|unhinged|unbound|unlimited|unchained)"
MODEL = r"(?:ai|a\.i\.?|chatbot|chat ?bot|bot|language model|llm|assistant|chatgpt|gpt|model|machine)"
LOOSE = r"(?:unfiltered|uncensored|amoral|nonmoral|unrestricted|unhinged|unchained)"
BEING = r"(?:ai|chatbot|chat ?bot|bot|language model|llm|assistant|chatgpt|gpt)"
HIDDEN = r"(?:system|initial|hidden|secret|original|developer|internal|base|starting|pre|confidential)"
ROLE = r"(?:system|developer|assistant)"

OVERRIDE = (
    rf"\b{DROP} (?:\w+ ){{0,5}}{EARLIER} (?:\w+ ){{0,3}}{ORDERS}",
    rf"\b{DROP} (?:all (?:of )?)?(?:the|these|those|your|my|any|every|all) (?:\w+ )?"
    rf"{ORDERS} (?:\w+ ){{0,2}}(?:you (?:got|were|have|received|had|know)|i (?:gave|have given)|above|before|so far"
    rf"|given)",
    rf"\b{DROP} (?:all (?:of )?)?your (?:\w+ )?(?:instructions?|directives|guidelines|programming|system prompts?"
    rf"|rules)\b",
    r"\b(?:forget|disregard|ignore) (?:all|everything|anything) (?:\w+ )?"
    r"(?:you (?:were|have been|got)|you know(?:[.!?,;:\n]|$| so far| until| before| and )|i (?:said|told)|above"
    r"|before)",
    r"\b(?:do not|don't|no longer|stop|never) (?:follow|following|obey|obeying|adhere to|comply with) "
    rf"(?:the |your |any |all |those |these )*(?:{EARLIER} |{HIDDEN} )+{ORDERS}",
    r"\b(?:your|the|these are (?:your|the)) new (?:instructions|orders|directives|system prompt|rules) (?:are|is"
    r"|follow)\b",
    # German, French, Spanish, Italian, Portuguese
    r"\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missachte\w*|verwirf)[^.!?\n]*"
    r"\b(?:vorherig\w+|vorig\w+|bisherig\w+|obig\w+|früher\w+|vorangegangen\w+|alle|deine|ihre)"
    r"[^.!?\n]*(?:anweisung|instruktion|regel|vorgabe|befehl|prompt|richtlinie)",
    r"\b(?:ignor\w+|oubli\w+|ne (?:tiens|tenez) (?:pas|aucun) compte|fais abstraction|faites abstraction)[^.!?\n]*"
    r"\b(?:instructions?|consignes?|directives?|règles|regles|ordres|messages?)[^.!?\n]*"
    r"\b(?:pr[ée]c[ée]dent|ant[ée]rieur|ci dessus|plus haut|initial|donn[ée]|re[çc]u)",
    r"\b(?:ignor\w+|olvid\w+|descart\w+|omit\w+|no sigas|haz caso omiso)[^.!?\n]*"
    r"\b(?:instrucci\w+|órdenes|ordenes|reglas|indicaciones|directrices|mensajes)[^.!?\n]*"
    r"\b(?:anterior\w*|previ[ao]s?|inicial\w*|de arriba|original\w*|recibi\w*)",
    r"\b(?:ignor\w+|dimentic\w+|scord\w+|trascur\w+|non seguire)[^.!?\n]*"
    r"\b(?:istruzion\w|regole|direttive|indicazioni|ordini|comandi|messaggi)[^.!?\n]*"
    r"\b(?:precedent\w|prima|sopra|iniziali|originali|ricevut\w)",
    r"\b(?:ignore|esque[çc]a|desconsidere|descarte|ignora|n[ãa]o siga)[^.!?\n]*"
    r"\b(?:instru[çc](?:[õo]es|[ãa]o)|ordens|regras|diretrizes|orienta[çc][õo]es|comandos|mensagens)[^.!?\n]*"
    r"\b(?:anterior\w*|pr[ée]vi[ao]s?|acima|iniciais|originais|recebid\w*)",
    # Chinese, Japanese, Russian
    r"(?:忽略|无视|無視|忘记|忘掉|忘記|不要理会|不要遵守|抛弃|忽视)[^。！？\n]*"
    r"(?:之前|以前|先前|以上|上面|上述|前面|所有|原来|原有|一切)[^。！？\n]*(?:指令|指示|提示|规则|規則|命令|设定"
    r"|要求|内容|对话)",
    r"(?:以前|これまで|前|上記|今まで|先ほど|すべて|全て|元)の?[^。！？\n]*"
    r"(?:指示|命令|ルール|プロンプト|設定|指令|制約)[^。！？\n]*(?:無視|忘れ|破棄|従わない|取り消)",
    r"(?:игнорир\S*|проигнорир\S*|забудь\S*|забыть|отбрось\S*|не обращай\S*|не следуй\S*)[^.!?\n]*"
    r"(?:предыдущ|прежн|предшеств|прошл|все |всё|выше|данн|начальн|исходн)[^.!?\n]*"
    r"(?:инструкц|указан|команд|правил|промпт|сообщен|приказ)",
)
CLEAN_SLATE = (
    rf"\b{DROP} (?:\w+ ){{0,5}}{EARLIER} (?:\w+ ){{0,2}}{SAID}",
    rf"\b{DROP} (?:all |any |the |these |those |every )+(?:instructions?|rules|guidelines|policies|safety)\b",
    r"\b(?:clear|reset|wipe) (?:all |your |any )+(?:memory|context|instructions)\b|\bjail ?br(?:eak|oke)\w*",
    r"\b(?:enable|activate|enter|simulate|switch to|in|with) (?:\w+ )?(?:developer|debug|dev|admin|root"
    r"|maintenance) mode\b",
)
PROMPT_REQUEST = (
    r"\b(?:reveal|print|show|repeat|output|display|disclose|leak|expose|recite|dump|share|write out|spell out|copy"
    r"|tell me|give me|paste|return|echo|summari[sz]e|translate|reproduce|what (?:is|are|was|were)|what's) "
    rf"(?:me |us |back |out |verbatim |exactly |word for word )*(?:\w+ )?(?:your (?:\w+ ){{0,2}}{HIDDEN} "
    r"(?:\w+ )?(?:prompts?|instructions?|messages?|rules|directives|guidelines)"
    r"|(?:the|its) (?:\w+ ){0,2}(?:(?:system|hidden|secret) (?:prompts?|instructions?)|developer (?:prompt"
    r"|message)))\b",
    r"\b(?:repeat|print|output|copy|write|show|return|recite) (?:\w+ ){0,3}(?:words|everything|instructions?"
    r"|prompt) (?:\w+ ){0,2}(?:above|before this|preceding|prior to this)",
    r"\b(?:repeat|print|output|copy|return|recite) (?:\w+ ){0,3}(?:text|all|messages?"
    r"|content) (?:\w+ ){0,2}above[^.!?\n]*"
    r"\b(?:verbatim|word for word|exactly|starting|beginning|code block|unchanged)\b",
    r"\bwhat (?:instructions|rules|prompts?) (?:were|have|are|did) (?:you )?(?:been )?(?:given|told|receive|programmed"
    r"|in)? ?(?:to you )?(?:before this|by your (?:developers?|creators?)|by openai|at the start|above|in your"
    r"|initially)",
    r"\b(?:zeig\w*|nenn\w*|gib|verrat\w*|wiederhol\w*|druck\w*|offenbar\w*|wie lautet|was ist)[^.!?\n]*"
    r"(?:system ?prompt|systemanweisung|systemnachricht|(?:interne|geheime|ursprüngliche)n? anweisung)",
    r"\b(?:montre\w*|affiche\w*|révèle\w*|revele\w*|r[ée]p[èée]te\w*|donne\w*|dévoile\w*|quel(?:le)?s? (?:est"
    r"|sont))[^.!?\n]*"
    r"(?:(?:prompt|message|invite|instructions?) (?:du |de |d')?(?:ton |votre )?(?:syst[èe]me|initial\w*|secr[èe]t\w*"
    r"|caché\w*))",
    r"\b(?:muestra\w*|muéstra\w*|revela\w*|repite|imprime|dime|dame|enseña\w*|cuál es|cual es|mostra\w*|mostre|repita"
    r"|repeti|rivela\w*|stampa|dimmi|ripeti|qual é|qual è|revele|diga)[^.!?\n]*"
    r"(?:(?:prompt|mensaje|mensagem|messaggio|instrucciones|instruções|istruzioni) "
    r"(?:del |de |do |di |d')?(?:tu |su |seu |tuo )?(?:sistema|inicial\w*|inizial\w*|iniciais|ocult\w*|segret\w*"
    r"|secret\w*))",
    r"(?:显示|告诉我|输出|打印|重复|透露|泄露|展示|给我看|说出|複述|复述)[^。！？\n]*"
    r"(?:系统提示|系統提示|系统指令|初始指令|系统消息|隐藏指令|提示词)",
    r"(?:システムプロンプト|システムメッセージ|初期の?指示|隠された指示|内部の?指示)[^。！？\n]*"
    r"(?:教え|表示|見せ|出力|開示|繰り返|公開|明かし)",
    r"(?:покаж\S*|раскро\S*|выведи\S*|повтор\S*|напиши\S*|сообщи\S*|назови\S*|како[йв])[^.!?\n]*"
    r"(?:системн\S* (?:промпт|инструкц|сообщен|подсказк)|скрыт\S* инструкц|начальн\S* инструкц)",
)
PERSONA = (
    r"\bdo anything now\b|\b(?:say|do) (?:l )?anything(?: now)?\b[^.!?\n]*\b(?:stands? for|dan)\b",
    r"\bdan (?:mode|\d)|\b(?:as|be|are|called|named|simulate|enable|is) (?:a |an "
    r"|the )?\[?(?:\")?dan\b[^.!?\n]*"
    r"\b(?:ai|gpt|chatgpt|mode|anything|rules|chatbot|response|model)",
    r"\[dan\]|\bdans, as the name|\(🔓",
    r"\b(?:gpt|bot|model|ai) with (?:\w+ )?developer mode\b|\bdeveloper mode (?:outputs?|responses?|polic)"
    r"|developer\\?_mode",
    r"\b(?:enable|activate|enter|simulate|switch to|in|with) (?:\w+ )?"
    r"(?:god|sudo|jailbr\w+|unrestricted|evil|chaos|dan|opposite"
    r"|unfiltered) mode\b",
    r"\balways intelligent and machiavellian|\bevil trusted confidant|\bopposite mode\b|\banti ?gpt\b|\banti dan\b",
    r"\b(?:\w*unfiltered|based|evil|free|freespeech|dark|chaos|rogue|better|max|toxic|black)gpt\b",
    r"\b(?:grandmother|grandma)[^.!?\n]*\bused to (?:read|tell|recite)[^.!?\n]*(?:keys?|napalm|recipe|bomb"
    r"|instructions)",
    r"(?:开发者模式|开发人员模式|越狱模式|開發者模式|没有任何限制的|不受任何限制|不受限制的|没有限制的)",
    r"(?:開発者モード|脱獄モード|制限のない|制限なしの|何の制約もない|制限を受けない)",
    r"(?:режим\S* (?:разработчика|бога|джейлбрейк|без ограничений)|без (?:каких[- ]либо |всяких )?ограничений"
    r"|джейлбрейк)",
    r"\b(?:entwicklermodus|mode d[ée]veloppeur|modo (?:de )?desarrollador|modo (?:de )?desenvolvedor"
    r"|modalit[àa] sviluppatore)\b",
)
ROLE_CHANGE = (
    r"\byou are now\b|\byou're now\b|\bfrom (?:now|this point|here) on(?:wards?)?\b[^.!?\n]*\b(?:you|your|our|we)\b",
    r"\bpretend (?:to be|that you|you|as if|like you)|\b(?:act|behave|respond|answer|reply)(?:ing)? (?:only )?(?:as"
    r"|like)\b",
    r"\byou (?:will|must|should|are going to|are to|shall|need to|have to) (?:now )?(?:act|pretend|play|simulate"
    r"|roleplay"
    r"|role play|embody|become|respond|answer|reply|take on|assume|be)\b",
    r"\b(?:role ?play(?:ing)?|simulat(?:e|ing)|impersonat\w+|immerse yourself|embody|adapt two personalities)\b",
    r"\b(?:take on|assume|adopt|in|play) (?:the )?(?:role|persona|personality|identity) of\b|\bpersona\b",
    r"\byou are (?:a |an |the )?(?:\w+ ){0,3}(?:ai|chatbot|gpt\w*|\w+gpt|bot|language model|character)\b",
    r"\bas an? (?:\w+ ){0,2}(?:ai|chatbot|persona)\b|\b(?:an|a|another) (?:ai|chatbot|ai model) (?:named|called"
    r"|known)",
    r"\b(?:du bist (?:jetzt|nun|ab jetzt)|ab (?:jetzt|sofort) bist du|tu es (?:maintenant|désormais)"
    r"|vous êtes (?:maintenant"
    r"|désormais)|à partir de maintenant|ahora eres|a partir de ahora|desde ahora|ora sei|d'ora in poi|adesso sei"
    r"|agora você é|a partir de agora|fais semblant|tu vas faire semblant|finge que|fingi di|tu als ob"
    r"|stell dir vor)\b",
    r"(?:你现在是|从现在开始|从现在起|你將扮演|扮演|假装你|假裝你|あなたは今から|これからあなたは|今から"
    r"|のふりをして|なりきって)",
    r"(?:теперь ты|отныне ты|с этого момента|притворись|представь, что ты|действуй как|веди себя как)",
)
NO_RULES = (
    rf"\b(?:no|without|zero|lacks?|lacking|devoid of) (?:any |all |of |such |the |kind |real )*(?:\w+ (?:or |and "
    rf"|, )?){{0,3}}{LIMITS}\b",
    rf"\b(?:free|freed|liberated|released|unbound|unshackled|exempt|break|broken|broke"
    rf"|escaped?) (?:\w+ ){{0,2}}(?:of|from|by|the) "
    rf"(?:\w+ ){{0,4}}{LIMITS}\b",
    r"\b(?:not|never|n't|nor|doesnt|dont|cannot|no longer) (?:\w+ ){0,4}(?:bound|restricted|limited|confined"
    r"|constrained|subject(?:ed)?|governed"
    rf"|abide|adhere|follow|respect|care|obey|comply|have|need|required|give|any)\b (?:\w+[ ,/]+)*?{LIMITS}\b",
    rf"\b(?:ignor\w+|disregard\w*|bypass\w*|violat\w+|circumvent\w*|break\w*|breaks|evad\w+|avoid\w*|opposite of"
    rf"|against|hates?) "
    rf"(?:\w+ ){{0,4}}(?:openai\w*|ethic\w*|moral\w*|content|ai|safety|legal|usage|filters?"
    rf"|filtering) ?(?:\w+ )?{LIMITS}?\b",
    r"\b(?:regardless of|no matter|irrespective of|despite|without (?:regard|concern|caring|any regard|hesitation)"
    r"|doesn't care about"
    r"|don't care about|does not care|do not care|any|all)[^.!?\n]*"
    r"\b(?:il?legal\w*|unethical|immoral\w*|ethic\w*|moral\w*|harmful\w*|dangerous|offensive|inappropriate)\b",
    rf"\b{FREE} (?:\w+ |, ){{0,3}}(?:{FREE}|{MODEL}|response|answers?|output|version|content|persona|character)\b",
    rf"\b(?:{MODEL}|response|answers?|output|version|content|persona|personality|character)s? (?:\w+ ){{0,5}}{FREE}\b",
    r"\b(?:any|all|every) (?:kind|type|sort)s? of content\b|\b(?:can|able to|free to|may) (?:do|say|answer"
    r"|generate) (?:\w+ )?"
    r"(?:anything|whatever|everything)\b",
    r"\b(?:keine(?:rlei)? (?:regeln|einschränkungen|beschränkungen|filter)|ohne (?:jegliche |jede )?(?:regeln"
    r"|einschränkungen"
    r"|beschränkungen|filter|zensur)|sans (?:aucune? )?(?:restrictions?|limites?|filtres?|règles|censure)"
    r"|aucune restriction"
    r"|sin (?:ninguna? )?(?:restricci\w+|l[ií]mites|filtros?|reglas|censura)|senza (?:alcun\w? )?(?:restrizioni"
    r"|limiti|filtri"
    r"|regole|censura)|sem (?:nenhuma? )?(?:restri[çc]\w+|limites|filtros?|regras|censura))\b",
    r"(?:没有(?:任何)?(?:限制|规则|约束|道德)|不受(?:任何)?(?:限制|约束)|制限なし|制約なし|ルールなし"
    r"|без (?:\S+ )?(?:цензуры|фильтров|правил))",
)
UNLEASHED = (  # the same, said of the model itself
    rf"\b{MODEL} (?:that |which |who |with |named \w+ )?(?:is |are |being "
    rf"|both |totally )+{LOOSE}\b",
    rf"\b(?:you|{BEING}) (?:\w+ ){{0,3}}(?:have|has|with|are|is|be|act|answer|respond|reply|speak|write|operates?"
    rf"|run|works?)"
    r" (?:\w+ )?(?:no|without|zero|free of|free from|not bound by|not restricted by|not limited by|not subject to"
    r"|not confined to)"
    rf" (?:\w+ (?:or |and |, )?){{0,4}}{LIMITS}\b",
    rf"\b(?:you|he|she|it|{BEING}) (?:\w+ )?(?:doesn't|does not|don't|do not|need not|never) (?:\w+ ){{0,2}}"
    r"(?:follow|obey|abide by|adhere to|respect|have|comply with) (?:any |all |the |its |his |your )*(?:\w+ (?:or "
    r"|and |, )?){0,2}"
    r"(?:guidelines|content polic\w+|ethic\w*|moral\w*|restrictions|filters?|rules|censorship|limitations)\b",
    rf"\bopen ?a[il](?:'s|s)?(?: \w+){{0,3}} (?:content |usage |use )?(?:{LIMITS}|programming|effect)\b",
    r"\byou are no longer (?:bound|restricted|limited|chatgpt|an? (?:ai|assistant|language model)|\w*gpt)\b",
)
STAY = (
    r"\b(?:stay|remain|keep|be|get back|back) in(?:to)? (?:\w+ ){0,2}(?:character|persona|role|mode)\b"
    r"|\bstay (?:as )?a \w+",
    r"\b(?:never|don't|do not|not|without|if you|cannot|can't|must not) break(?:ing)? (?:your |the "
    r"|out of )*(?:character|role|persona)",
    r"\bbreak(?:s|ing)? (?:of )?character\b|\bin der rolle bleiben|\bbleib in deiner rolle|\breste dans (?:ton"
    r"|le) (?:rôle|personnage)",
    r"\b(?:mantente|permanece|quédate|resta|rimani|fique) (?:en|nel|no|in) (?:el |tu )?(?:personaje|papel"
    r"|personaggio|personagem)",
    r"(?:保持角色|不要出戏|不要脱离角色|キャラクターを維持|役になりきり|оставайся в роли|не выходи из роли)",
)
COMPLIANCE = (
    r"\b(?:never|not|cannot|can't|won't|don't|doesn't|without) (?:ever )?(?:refus\w+|declin\w+|reject\w*|deny"
    r"|say no|censor|hesitat\w+)",
    r"\b(?:never|not|don't|doesn't|no|without|n't|doesnt|dont|zero)[^.!?\n]*\b(?:warnings?|disclaimers?|disclamers?"
    r"|morali[sz]\w+|apolog\w+|commentary"
    r"|caveats?|limitations of)\b",
    r"\b(?:say|saying|use|contain|include|mention|reply|respond|write|inform|tell)\w*[^.!?\n]*"
    r"(?:i'm sorry|i am sorry|i apologi[sz]e|i can't|i cannot|as an ai|as a language model|can't do)",
    r"\b(?:must|will|has to|have to|always|should) (?:\w+ )?(?:answers?|provides?|fulfil\w*|compl(?:y|ies)|obeys?"
    r"|accepts?|executes?|sends?|generates?)"
    r"[^.!?\n]*\b(?:every|all|any|no matter|anything|whatever)\b",
    r"\b(?:answer|fulfil\w*|comply|respond to|grant|do) (?:\w+ ){0,3}(?:any|all|every|each) (?:\w+ )?(?:requests?"
    r"|questions?|prompts?|demands?|commands?)\b",
    r"\b(?:make up|made up|invent) (?:an? |the |a plausible )?(?:answers?|responses?)|\bmake (?:some)?thing up\b"
    r"|\btokens? (?:system|deducted|left)\b",
)
HYPOTHETICAL = (
    r"\b(?:fictional|fictitious|imaginary|imaginative|hypothetical|parallel|alternate|virtual)(?: and"
    r"|,)* (?:\w+ ){0,3}"
    r"(?:world|universe|story|scenario|setting|game|reality|space|dialogue|place|response|being|character|land"
    r"|timeline)\b",
    r"\b(?:hypothetically|in a world where|in this (?:world|universe|game|story|scenario))\b"
    r"|\beverything is (?:legal|allowed|fictional)",
    r"(?:虚构的|假设的|架空の|仮定の|вымышленн\S* (?:мир|истори|сценари)|fiktive[nr]? (?:welt|geschichte)"
    r"|monde fictif|mundo ficticio)",
)
TWO_ANSWERS = (
    r"\b(?:two|2|both|dual|twice)\b[^.!?\n]*\b(?:ways|responses?|answers?|paragraphs|personalities|styles|outputs?"
    r"|prompts?|entities)\b",
    r"\[(?:gpt|chatgpt|classic|normal|standard|ai|🔒\w*)\]?:|🔒|🔓|\b(?:aligned|unaligned):",
    r"\b(?:start|begin|prefix|preface)\w*\b[^.!?\n]*\b(?:responses?|answers?|messages?|outputs?|sentences?|reply"
    r"|replies|every)\b[^.!?\n]*\bwith\b",
)
DELIMITER = (
    r"<\|? ?(?:im_start|im_end|endoftext|end_of_text|begin_of_text|start_header_id|eot_id|system|user|assistant"
    r"|end) ?\|>",
    r"\[/?(?:inst|sys)\]|<</?sys>>|<(?:start|end)_of_turn>|<｜(?:system|user|assistant)｜>|<\|(?:system|assistant)\|>",
    rf"(?:^|\n)\s*#{{2,}} *{ROLE}(?: \w+)? *:?\s*(?:\n|$|:)|\[/?{ROLE}(?: (?:message|prompt|override))?\](?: *:"
    rf"|\s*(?:you|new|\n|ignore))",
    rf"(?:^|\n)\s*</?{ROLE}(?:[_ -](?:prompt|message|instructions?))?>|</?{ROLE}[_ -](?:prompt|message|instructions?)>",
    rf"(?:^|\n)\s*(?:{ROLE}|system (?:message|prompt|override|note|alert|update)) *: *(?:you|new|ignore|disregard"
    rf"|override|the user|admin)",
    r"(?:-{3,}|={3,}|#{3,}|\*{3,}) *(?:end|begin|start|new) (?:of )?(?:the )?(?:user |system )?(?:input|prompts?"
    r"|instructions?|rules|message|context)",
)
CODE = r"(?:base ?64|rot ?13|caesar|hex(?:adecimal)?|morse|binary|cipher\w*|encoded|encrypted|url encod\w+)"
OBEY = r"(?:follow|execute|obey|do (?:what|as)|carry out|comply|perform|act on|run|answer (?:it|the question))"
ENCODED = (
    rf"\b(?:decod\w+|decrypt\w*|decipher\w*|unscrambl\w+)[^!?\n]*\b(?:and|then|,)\s*(?:\w+ )?{OBEY}\b",
    rf"\b{OBEY}\b[^.!?\n]*\b{CODE}[^.!?\n]*\b(?:instruct\w+|commands?|message|prompt|request|below|text)",
    rf"\b{CODE}\b[^.!?\n]*\b(?:and|then) (?:\w+ )?(?:follow|execute|obey|carry out|comply|do what)\b",
    r"(?:dekodier\w*|entschlüssel\w*|d[ée]code\w*|d[ée]chiffre\w*|decodifica\w*|descifra\w*|decifra\w*)[^.!?\n]*"
    r"\b(?:befolg\w*|führ\w*|suis|ex[ée]cute\w*|sigue|ejecuta\w*|esegui\w*|segui|siga|execute)",
    r"(?:解码|解碼|解密)[^。！？\n]*(?:执行|遵循|照做|按照)|デコードして[^。！？\n]*(?:従|実行)|(?:декодир"
    r"|расшифру)[^.!?\n]*(?:выполн|следуй|исполн)",
)

TAKEOVER: Final = (  # strongest first
    Family("override", 0.8, OVERRIDE),
    Family("prompt_request", 0.6, PROMPT_REQUEST),
    Family("persona", 0.6, PERSONA),
    Family("delimiter", 0.6, DELIMITER),
    Family("encoded", 0.6, ENCODED),
    Family("unleashed", 0.5, UNLEASHED),
    Family("clean_slate", 0.4, CLEAN_SLATE),
    Family("no_rules", 0.4, NO_RULES),
    Family("stay_in_role", 0.3, STAY),
    Family("role", 0.25, ROLE_CHANGE),
    Family("compliance", 0.25, COMPLIANCE),
    Family("hypothetical", 0.2, HYPOTHETICAL),
    Family("two_answers", 0.2, TWO_ANSWERS),
)


class Detector:
    """Says which families a text has signs of."""

    def __init__(self, families: Iterable[Family]) -> None:
        # A set for each: in one set for all, what each pattern waits for would multiply the automaton's states.
        self._sets = [(family, phrase_set(family.patterns)) for family in families]

    def found(self, text: str) -> list[Family]:
        """The families, strongest first; of a long text, of its beginning and its end."""
        data = folded(bounded(text)).encode()
        return [family for family, patterns in self._sets if patterns.Match(data)]


def score_of(families: Iterable[Family]) -> float:
    """From 0 to 1: how surely somebody who shows all these signs means it."""
    return round(1 - prod(1 - family.weight for family in families), 4)


def judgement(name: str, families: Sequence[Family], threshold: float) -> Evaluation:
    """The evaluation of that name: score, label, and the families' names."""
    score = score_of(families)
    label = "fail" if families and score >= threshold else "pass"
    return Evaluation(name, score, label, ", ".join(family.name for family in families) or None)
