"""Who asked, in which conversation, with which prompt template; of a person's name only a salted hash is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Final, NamedTuple

import msgspec
from pydantic import SecretStr

from config.settings import Duration
from pipeline.records import Capture, Exchange
from processors.baggage import members_of
from processors.fingerprint import Fingerprints
from processors.history import history_of
from processors.options import check_choice, check_headers
from processors.sensitive import KINDS, find
from processors.sessions import Session, Sessions

USER_SOURCES: Final = ("header", "safety_identifier", "user", "metadata.user_id", "baggage", "credential")
SESSION_SOURCES: Final = ("header", "conversation", "baggage", "response", "connection", "history")
USER_HEADERS: Final = ("x-sidelight-user", "x-user-id", "helicone-user-id", "x-openwebui-user-id", "x-end-user-id")
SESSION_HEADERS: Final = (
    "x-sidelight-session",
    "x-session-id",
    "session-id",
    "session_id",
    "x-conversation-id",
    "conversation_id",
    "helicone-session-id",
    "x-litellm-session-id",
    "x-openwebui-chat-id",
    "x-claude-code-session-id",
)
OURS: Final = ("gen_ai.", "sidelight.", "http.", "server.", "session.id", "user.hash", "error.")
USER_BAGGAGE: Final = ("user.id", "enduser.id")
SESSION_BAGGAGE: Final = "session.id"
METADATA: Final = "metadata."
CONVERSES: Final = frozenset(("chat", "generate_content"))  # operations whose requests hold the conversation so far
KEYS_EACH: Final = 2  # an answer is known by its words and by its response id
LONGEST_SESSION: Final = 128  # characters
LONGEST_ATTRIBUTE: Final = 256  # characters
SHORTEST_SALT: Final = 16  # characters


@dataclass(frozen=True, slots=True)
class Identify:
    """Finds the user (as a salted hash), the session and the prompt template of each exchange."""

    user: tuple[str, ...] = USER_SOURCES  # where a user is looked for, in this order; metadata.<key> is any of them
    user_headers: tuple[str, ...] = USER_HEADERS  # the first that is there
    session: tuple[str, ...] = SESSION_SOURCES  # where a session is looked for, in this order
    session_headers: tuple[str, ...] = SESSION_HEADERS
    window: Duration = 1800.0  # silence after which a conversation found by its history is over
    max_answers: int = 25_000  # the latest, to which a next request can be joined
    attributes: Mapping[str, str] = field(default_factory=dict)  # request header → span attribute
    variables: tuple[str, ...] = ()  # RE2 patterns of what is not the template's in a system prompt
    known_variables: bool = True  # dates, times, UUIDs and long numbers are not the template's either
    salt: SecretStr | None = None  # the same on several machines makes the same hashes; None: one beside the store

    def __post_init__(self) -> None:
        for source in self.user:
            if not source.startswith(METADATA):
                check_choice("user", source, USER_SOURCES)
        for source in self.session:
            check_choice("session", source, SESSION_SOURCES)
        check_headers(self.headers_read)
        for attribute in self.attributes.values():
            if attribute.startswith(OURS):
                raise ValueError(f"attributes has {attribute!r}, which Sidelight itself sets; choose another name")
        if not (isfinite(self.window) and self.window > 0):
            raise ValueError(f"window is {self.window}; give a positive duration, like 30m")
        if self.max_answers < 1:
            raise ValueError(f"max_answers is {self.max_answers}; give a number, at least 1")
        if self.salt is not None and len(self.salt.get_secret_value()) < SHORTEST_SALT:
            raise ValueError(f"salt is too short to keep a secret; give at least {SHORTEST_SALT} characters")
        Fingerprints(self.variables, self.known_variables)

    @property
    def headers_read(self) -> frozenset[str]:
        """Request headers, in lower case, that captures must hold although some are named like credentials."""
        users = self.user_headers if "header" in self.user else ()
        sessions = self.session_headers if "header" in self.session else ()
        return frozenset(name.lower() for name in (*users, *sessions, *self.attributes))

    @property
    def wants_credential(self) -> bool:
        """Must captures hold the hash of the API key?"""
        return "credential" in self.user

    @property
    def own_salt(self) -> bytes | None:
        """32 bytes made of the configured salt; None: none is configured."""
        if self.salt is None:
            return None
        return blake2b(self.salt.get_secret_value().encode("utf-8", "surrogatepass"), digest_size=32).digest()

    def identifier(self, salt: bytes) -> Identifier:
        """The stage that does it, with an empty memory; salt: up to 64 bytes, those that the proxies hash keys with."""
        return Identifier(self, salt)


class Known(NamedTuple):
    """What is known of one exchange when its session is looked for."""

    exchange: Exchange
    headers: Mapping[str, str]  # those that are read, by their lower-case names
    baggage: Mapping[str, str]
    asker: str  # the user, or where nobody says who that is the client's address
    started_at: int  # ns since the epoch
    ended_at: int


class Identifier:
    """Identifies one exchange after the other; a conversation is known by its answers, of which hashes are kept."""

    def __init__(self, options: Identify, salt: bytes) -> None:
        self._options = options
        self._salt = salt
        self._user_headers = tuple(map(str.lower, options.user_headers))
        self._session_headers = tuple(map(str.lower, options.session_headers))
        self._attributes = {name.lower(): attribute for name, attribute in options.attributes.items()}
        self._read = options.headers_read | {"baggage"}
        self._fingerprints = Fingerprints(options.variables, options.known_variables)
        self._sessions = Sessions(options.window, KEYS_EACH * options.max_answers)
        self._finders = {
            "header": self._by_header,
            "conversation": self._by_conversation,
            "baggage": self._by_baggage,
            "response": self._by_response,
            "connection": self._by_connection,
            "history": self._by_history,
        }

    def identify(self, capture: Capture, exchange: Exchange) -> Exchange:
        """The exchange with user, session, fingerprint and attributes, and without claims. Give it unredacted ones,
        in the order they ended, and each once."""
        headers = {
            lower: text
            for name, value in capture.request_headers
            if (lower := name.lower()) in self._read and (text := value.strip())
        }
        baggage = members_of(headers["baggage"], (*USER_BAGGAGE, SESSION_BAGGAGE)) if "baggage" in headers else {}
        user, user_source = self._user(capture, exchange.claims, headers, baggage)
        started_at = exchange.timing.started_at
        asker = user or capture.client_address
        known = Known(exchange, headers, baggage, asker, started_at, started_at + exchange.timing.ended_at)
        session, session_source = self._session(known)
        return msgspec.structs.replace(
            exchange,
            claims={},
            user=user,
            user_source=user_source,
            session=session,
            session_source=session_source,
            conversation=self._presentable(exchange.conversation) or (session if session_source == "header" else None),
            prompt_fingerprint=self._fingerprints.of(exchange),
            attributes=self._with_headers(exchange.attributes, headers),
        )

    def _user(
        self, capture: Capture, claims: Mapping[str, str], headers: Mapping[str, str], baggage: Mapping[str, str]
    ) -> tuple[str | None, str | None]:
        """The first user that is named, as a hash, and by what; the API key's hash was made by the proxy."""
        for source in self._options.user:
            if source == "credential":
                user = capture.credential
            elif source == "header":
                user = self._hashed(_first(headers, self._user_headers), 8)
            elif source == "baggage":
                user = self._hashed(_first(baggage, USER_BAGGAGE), 8)
            else:
                user = self._hashed(claims.get(source, "").strip(), 8)
            if user:
                return user, source
        return None, None

    def _session(self, known: Known) -> tuple[str | None, str | None]:
        """The first session that is found, and how."""
        for source in self._options.session:
            if session := self._finders[source](known):
                if known.exchange.response_id and known.exchange.operation in CONVERSES:
                    key = self._response_key(known, known.exchange.response_id)
                    self._sessions.remember(key, session, known.ended_at)
                return session.id, source
        return None, None

    def _by_header(self, known: Known) -> Session | None:
        return self._named(_first(known.headers, self._session_headers), known)

    def _by_conversation(self, known: Known) -> Session | None:
        return self._named(known.exchange.conversation, known)

    def _by_baggage(self, known: Known) -> Session | None:
        return self._named(known.baggage.get(SESSION_BAGGAGE), known)

    def _by_response(self, known: Known) -> Session | None:
        """The session of the response that this one goes on from; one not known here begins a session of its own."""
        previous = known.exchange.claims.get("previous_response_id")
        if not previous:
            return None
        key = self._response_key(known, previous)
        return self._sessions.find(key, known.started_at) or Session(key.hex(), known.ended_at)

    def _by_connection(self, known: Known) -> Session | None:
        """All turns of a spliced connection."""
        trace = known.exchange.trace
        return Session(trace.server_span_id, known.ended_at) if known.exchange.turn else None

    def _by_history(self, known: Known) -> Session | None:
        exchange = known.exchange
        if exchange.operation not in CONVERSES:
            return None
        scope = f"{exchange.upstream}\0{known.asker}".encode("utf-8", "surrogatepass")
        history = history_of(exchange, scope, self._salt)
        return history and self._sessions.continued(history, exchange.id, known.started_at, known.ended_at)

    def _named(self, name: str | None, known: Known) -> Session | None:
        identity = self._presentable(name)
        return Session(identity, known.ended_at) if identity else None

    def _presentable(self, name: str | None) -> str | None:
        """A name as it may be told: short, and hashed where it says who somebody is or opens something."""
        if not name:
            return None
        if find(name.encode("utf-8", "surrogatepass"), KINDS, ()):
            return self._hashed(name, 16)
        return name[:LONGEST_SESSION]

    def _response_key(self, known: Known, response_id: str) -> bytes:
        text = f"{known.exchange.upstream}\0{response_id}"
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16).digest()

    def _hashed(self, text: str | None, size: int) -> str | None:
        """Twice as many hex digits as `size`; None for no text."""
        if not text:
            return None
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=size).hexdigest()

    def _with_headers(self, attributes: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, str]:
        found = {
            attribute: headers[name][:LONGEST_ATTRIBUTE]
            for name, attribute in self._attributes.items()
            if name in headers
        }
        return {**attributes, **found} if found else attributes


def _first(values: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((values[name] for name in names if name in values), None)
