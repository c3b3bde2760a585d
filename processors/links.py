"""Are the addresses in the answer well formed, and of hosts that it may point to? Nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar, Final
from urllib.parse import urlsplit

from pipeline.records import Evaluation, Exchange, Message, text_of
from processors.options import check_share
from processors.prose import MAX_CHARACTERS, without_code

LINK: Final = re.compile(r"[hH][tT]{2}[pP][sS]?://[^\s<>\"'`|\\^{}。，、；：）」》】]+")
# What Markdown links to goes up to the bracket, spaces and all, because there a space is a mistake.
TARGET: Final = re.compile(r"[^\n)>\"]{1,2000}")
UNFINISHED: Final = (None, "length")  # reasons for which an answer may end anywhere
BEFORE_TARGET: Final = ("](", "](<")
TRAILING: Final = ".,;:!?)]}*_~…’”»"  # a sentence's, not the address's
LABEL: Final = re.compile(r"(?!-)[\w-]{1,63}")  # some hosts do end a label with a hyphen
MAX_HOST: Final = 253
HOST_OPTION: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*|[0-9a-f:]+:[0-9a-f:.]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Links:
    """Scores the share of the answer's http and https addresses that are well formed and allowed."""

    allowed: tuple[str, ...] = ()  # hosts, each with everything below it; empty: any
    threshold: float = 1.0  # fails when a smaller share of the addresses is right

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "share of addresses that are right"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)
        for number, host in enumerate(self.allowed):
            if not HOST_OPTION.fullmatch(host):
                raise ValueError(f"allowed[{number}] is {host!r}; give a host alone, such as example.com")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        links = [link for message in exchange.output_messages for link in _links_in(message)]
        if not links:
            return ()
        hosts = list(map(host_of, links))
        malformed = hosts.count(None)
        elsewhere = sum(host is not None and not self._is_allowed(host) for host in hosts)
        share = 1 - (malformed + elsewhere) / len(links)
        label = "fail" if share < self.threshold else "pass"
        return (Evaluation("links", round(share, 4), label, _explanation(malformed, elsewhere, len(links))),)

    def _is_allowed(self, host: str) -> bool:
        return not self.allowed or any(
            host == each or host.endswith(f".{each}") for each in map(str.lower, self.allowed)
        )


def _links_in(message: Message) -> list[str]:
    return links_of(text_of((message,)), cut=message.finish_reason in UNFINISHED)


def links_of(text: str, cut: bool = False) -> list[str]:
    """The addresses in the text, as they are written there; those in code are examples. What ends a text that was cut
    is half an address."""
    cut = cut or len(text) > MAX_CHARACTERS
    text = text[:MAX_CHARACTERS]
    if "://" not in text:
        return []
    text = without_code(text)
    return [_link_at(text, match) for match in LINK.finditer(text) if not (cut and match.end() == len(text))]


def _link_at(text: str, match: re.Match[str]) -> str:
    is_target = text.endswith(BEFORE_TARGET, 0, match.start())
    target = TARGET.match(text, match.start()) if is_target else None
    return (target or match)[0].strip().rstrip(TRAILING)


def host_of(link: str) -> str | None:
    """The host in lower case; None where the address is malformed, or hides its host behind a user's name."""
    if not link.isprintable() or " " in link:
        return None
    try:
        parts = urlsplit(link)
        host, _ = (parts.hostname or "").rstrip("."), parts.port  # a port that is none raises, too
    except ValueError:
        return None
    return host if "@" not in parts.netloc and _is_host(host) else None


def _is_host(host: str) -> bool:
    if ":" in host or host.replace(".", "").isdigit():
        return _is_address(host)
    named = "." in host or host == "localhost"
    return named and len(host) <= MAX_HOST and all(map(LABEL.fullmatch, host.split(".")))


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _explanation(malformed: int, elsewhere: int, total: int) -> str | None:
    counts = ((malformed, "malformed"), (elsewhere, "of hosts not allowed"))
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{said}, {total} in all" if said else None
