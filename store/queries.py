"""Read-only questions to the store, answered as plain records. Only `story` looks into bodies.

A row of `exchange` is one exchange that passed through Sidelight, sampled out or not, so counts, errors, tokens
and times here are plain counts over rows; weights matter only where an evaluator judged some rows and not others.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil
from pathlib import Path

import msgspec

from pipeline.records import FEEDBACK, Exchange

MATCHES_SHOWN = 10
NS = 1e9


class AmbiguousId(LookupError):
    """More than one exchange answers to what was typed; `ids` holds the first of them, oldest first."""

    def __init__(self, typed: str, ids: tuple[str, ...]) -> None:
        super().__init__(f"{typed} matches more than one exchange: {', '.join(ids)}")
        self.ids = ids


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges with one upstream and model. Times are seconds, nearest-rank percentiles; None: none was measured."""

    upstream: str
    model: str | None
    calls: int
    errors: int
    duration_p50: float | None
    duration_p95: float | None
    first_chunk_p50: float | None  # streams only
    first_chunk_p95: float | None
    input_tokens: int
    output_tokens: int
    cost: float | None = None  # US dollars, of those whose cost is known; None: of none


@dataclass(frozen=True, slots=True)
class Summary:
    """`total` is the group of everything, its upstream and model named "all"; `groups` come largest first."""

    total: Group
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class PassRate:
    """One evaluator's outcomes as counted, and the estimated share of all exchanges it judges that pass."""

    evaluator: str
    passed: int
    failed: int
    scored: int
    errors: int
    skipped: int
    pass_rate: float | None  # 0 to 1; None: nothing passed or failed
    effective_n: float = 0.0  # as many judgements of equal weight would say as much (Kish 1965)


@dataclass(frozen=True, slots=True)
class Failure:
    """One exchange that one evaluator failed; `started_at` in nanoseconds since the epoch."""

    exchange_id: str
    started_at: int
    model: str | None
    status: int | None
    evaluator: str
    score: float | None
    explanation: str | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One evaluator's outcome of one exchange; `duration` in nanoseconds."""

    evaluator: str
    outcome: str
    reason: str | None
    score: float | None
    label: str | None
    explanation: str | None
    duration: int
    version: str | None = None
    weight: float | None = None  # how many exchanges it stands for; None: as many as its exchange
    cost: float | None = None  # US dollars
    calibration: str | None = None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One row of `exchange` with its ledger; times in nanoseconds, names as in schema.sql."""

    id: str
    state: str
    started_at: int
    trace_id: str
    upstream: str
    method: str
    path: str
    status: int | None
    error_type: str | None
    operation: str | None
    model: str | None
    stream: bool
    duration: int
    first_chunk: int | None
    input_tokens: int | None
    output_tokens: int | None
    attempts: int
    weight: float | None
    kept: str | None
    body_size: int | None  # bytes in the store; None: there is no body
    exchange: Exchange | None  # None also when the body cannot be read
    ledger: tuple[LedgerRow, ...]
    usage_source: str | None = None
    cost: float | None = None  # US dollars
    wire: str | None = None
    user: str | None = None
    session: str | None = None
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerSums:
    """What the conservation check adds up: each done exchange owes one outcome to each evaluator.

    A store that has seen evaluators come and go does not balance, and rightly so.
    """

    done: int
    pending: int
    outcomes: Mapping[str, int]  # evaluator → its outcomes of done exchanges
    early: int  # outcomes of exchanges that are not done
    owed: Mapping[str, int] = field(default_factory=dict)  # evaluator → outcomes that come later

    @property
    def missing(self) -> Mapping[str, int]:
        """Evaluator → outcomes that nobody can account for, where any."""
        names = dict.fromkeys((*self.outcomes, *self.owed))
        sums = {name: self.done - self.outcomes.get(name, 0) - self.owed.get(name, 0) for name in names}
        return {name: missing for name, missing in sums.items() if missing}

    @property
    def balanced(self) -> bool:
        return not self.missing and not self.early


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The store for reading only. Raises FileNotFoundError, or sqlite3.Error when it is no store."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as db:
        db.row_factory = sqlite3.Row
        yield db


def summary(db: sqlite3.Connection) -> Summary:
    """Calls, errors, times and tokens of every exchange in the store, pending or done."""
    query = """
        SELECT upstream, model, error_type IS NOT NULL AS error, duration,
               first_chunk, input_tokens, output_tokens, cost
        FROM exchange ORDER BY upstream, model
    """
    rows = db.execute(query).fetchall()
    by_model = groupby(rows, key=lambda row: (row["upstream"], row["model"]))
    groups = [a_group(upstream, model, list(members)) for (upstream, model), members in by_model]
    return Summary(a_group("all", "all", rows), tuple(sorted(groups, key=lambda group: -group.calls)))


def a_group(upstream: str, model: str | None, rows: Sequence[sqlite3.Row]) -> Group:
    durations = sorted(row["duration"] for row in rows)
    first_chunks = sorted(row["first_chunk"] for row in rows if row["first_chunk"] is not None)
    return Group(
        upstream=upstream,
        model=model,
        calls=len(rows),
        errors=sum(row["error"] for row in rows),
        duration_p50=percentile(durations, 0.50),
        duration_p95=percentile(durations, 0.95),
        first_chunk_p50=percentile(first_chunks, 0.50),
        first_chunk_p95=percentile(first_chunks, 0.95),
        input_tokens=sum(row["input_tokens"] or 0 for row in rows),
        output_tokens=sum(row["output_tokens"] or 0 for row in rows),
        cost=sum(costs) if (costs := [row["cost"] for row in rows if row["cost"] is not None]) else None,
    )


def percentile(ordered: Sequence[int], share: float) -> float | None:
    """Nearest rank: the smallest value that at least `share` of the values do not exceed; ns in, s out."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] / NS if ordered else None


def pass_rates(db: sqlite3.Connection) -> list[PassRate]:
    """Outcomes and pass rate of each evaluator, by name.

    Sampling keeps some exchanges and gives each a weight w: it stands for itself and for w - 1 that were sampled
    out. An evaluator that saw only kept ones (`skipped`, `sampled_out` on the others) is estimated with these
    weights: the weighted passes and the weighted judgements are both unbiased sums over all exchanges, and the rate
    is their ratio. An evaluator that judged the sampled-out ones too (the cheap ones, on whose verdict `flagged`
    depends) has seen everything: each judgement then counts once, or the others would be counted twice. Where only a
    share of the sampled-out was left unjudged, as after a change of the config, kept ones stand for that share:

        weight of a judgement that says so  that, as of a judge who is asked about a share
        weight of a sampled-out exchange    1, if judged
        weight of a kept exchange           1 + (w - 1) * share of the sampled-out that this evaluator did not judge

    The share is 1 when no sampled-out row exists: the sampling then happened before the store.
    """
    query = """
        WITH judged AS (
            SELECT evaluator, outcome, reason, exchange.weight, kept IS 'sampled_out' AS sampled_out,
                   ledger.weight AS own_weight
            FROM ledger JOIN exchange ON exchange.id = ledger.exchange_id
        ), unjudged AS (
            SELECT evaluator, avg(reason IS 'sampled_out') AS share FROM judged WHERE sampled_out GROUP BY evaluator
        ), weighted AS (
            SELECT evaluator, outcome,
                   coalesce(own_weight,
                            iif(sampled_out, 1.0, 1.0 + (coalesce(weight, 1.0) - 1.0) * coalesce(share, 1.0))) AS weight
            FROM judged LEFT JOIN unjudged USING (evaluator)
        )
        SELECT evaluator, sum(outcome = 'pass') AS passed, sum(outcome = 'fail') AS failed,
               sum(outcome = 'scored') AS scored, sum(outcome = 'error') AS errors, sum(outcome = 'skipped') AS skipped,
               sum(weight) FILTER (WHERE outcome = 'pass') AS weight_passed,
               sum(weight) FILTER (WHERE outcome = 'fail') AS weight_failed,
               sum(weight * weight) FILTER (WHERE outcome IN ('pass', 'fail')) AS squares
        FROM weighted GROUP BY evaluator ORDER BY evaluator
    """
    return [a_pass_rate(**row) for row in db.execute(query)]


def a_pass_rate(
    weight_passed: float | None, weight_failed: float | None, squares: float | None, **counts: int | str
) -> PassRate:
    judged = (weight_passed or 0.0) + (weight_failed or 0.0)
    rate = (weight_passed or 0.0) / judged if judged else None
    return PassRate(pass_rate=rate, effective_n=judged**2 / squares if squares else 0.0, **counts)  # type: ignore[arg-type]


def failures(db: sqlite3.Connection, limit: int) -> list[Failure]:
    """The latest failing exchanges, at most `limit`, none twice: first each evaluator's latest, then their second …

    Of failures that one evaluator explains in the same words, only the latest counts.
    """
    query = """
        WITH failed AS (
            SELECT id, started_at, model, status, evaluator, score, explanation,
                   row_number() OVER (PARTITION BY evaluator, explanation ORDER BY started_at DESC, id DESC) AS repeat
            FROM ledger JOIN exchange ON exchange.id = ledger.exchange_id WHERE outcome = 'fail'
        )
        SELECT id AS exchange_id, started_at, model, status, evaluator, score, explanation
        FROM failed WHERE repeat = 1
        ORDER BY row_number() OVER (PARTITION BY evaluator ORDER BY started_at DESC, id DESC),
                 started_at DESC, evaluator
    """
    found: dict[str, Failure] = {}
    for row in db.execute(query):
        if len(found) == limit:
            break
        found.setdefault(row["exchange_id"], Failure(**row))
    return list(found.values())


def story(db: sqlite3.Connection, typed: str) -> Story | None:
    """All that is known of one exchange, found by its id, its trace id, its answer's id, or the beginning of its id.

    None when there is none; raises AmbiguousId when there are several.
    """
    ids = matching_ids(db, typed.strip())
    if len(ids) > 1:
        raise AmbiguousId(typed, ids)
    if not ids:
        return None
    row = dict(db.execute("SELECT * FROM exchange WHERE id = ?", ids).fetchone())
    body = row.pop("body")
    row["stream"] = bool(row["stream"])
    return Story(
        **row, body_size=None if body is None else len(body), exchange=decoded(body), ledger=ledger_of(db, ids[0])
    )


def matching_ids(db: sqlite3.Connection, typed: str) -> tuple[str, ...]:
    """The exact id, else all of that trace, else all that begin so ("~" sorts after every hex digit), else all whose
    answer has that id, which an older store does not know."""
    told = {"typed": typed.lower(), "as_it_is": typed}
    by = ("id = :typed", "trace_id = :typed", "id >= :typed AND id < :typed || '~'", "response_id = :as_it_is")
    with suppress(sqlite3.OperationalError):
        for condition in by if typed else ():
            query = f"SELECT id FROM exchange WHERE {condition} ORDER BY id LIMIT {MATCHES_SHOWN}"  # noqa: S608
            if found := db.execute(query, told).fetchall():
                return tuple(row["id"] for row in found)
    return ()


def decoded(body: bytes | None) -> Exchange | None:
    """The stored exchange; None when there is none or this version cannot read it."""
    if body is None:
        return None
    try:
        return msgspec.msgpack.decode(zlib.decompress(body), type=Exchange)
    except (zlib.error, msgspec.DecodeError):
        return None


def ledger_of(db: sqlite3.Connection, exchange_id: str) -> tuple[LedgerRow, ...]:
    query = "SELECT * FROM ledger WHERE exchange_id = ? ORDER BY evaluator"  # an older store has fewer columns
    rows = [dict(row) for row in db.execute(query, (exchange_id,))]
    return tuple(LedgerRow(**{name: row[name] for name in row if name != "exchange_id"}) for row in rows)


def ledger_sums(db: sqlite3.Connection) -> LedgerSums:
    """The sums of the ledger, in one reading of the store; without feedback, which nobody owes."""
    states = "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'pending') FROM exchange"
    outcomes = f"""
        SELECT evaluator, count(*) FILTER (WHERE state = 'done') AS done,
               count(*) FILTER (WHERE state <> 'done') AS early
        FROM ledger JOIN exchange ON exchange.id = ledger.exchange_id
        WHERE evaluator NOT LIKE '{FEEDBACK}%' GROUP BY evaluator ORDER BY evaluator
    """  # noqa: S608 - a constant
    with one_view(db):
        done, pending = db.execute(states).fetchone()
        rows = db.execute(outcomes).fetchall()
        owed = debts(db)
    counts = {row["evaluator"]: row["done"] for row in rows}
    return LedgerSums(done, pending, counts, sum(row["early"] for row in rows), owed)


def judged_exchanges(db: sqlite3.Connection, since: int) -> Iterator[tuple[Exchange, tuple[LedgerRow, ...]]]:
    """Every done exchange since then (ns since the epoch) whose content is there, oldest first, with its ledger."""
    query = "SELECT id, body FROM exchange WHERE state = 'done' AND started_at >= ? AND body IS NOT NULL ORDER BY id"
    for row in db.execute(query, (since,)):
        exchange = decoded(row["body"])
        if exchange is not None:
            yield exchange, ledger_of(db, row["id"])


def debts(db: sqlite3.Connection) -> dict[str, int]:
    """Evaluator → outcomes that come later; an older store knows of none."""
    query = """
        SELECT evaluator, count(*) FROM owed
        WHERE NOT EXISTS (SELECT 1 FROM ledger
                          WHERE ledger.exchange_id = owed.exchange_id AND ledger.evaluator = owed.evaluator)
        GROUP BY evaluator
    """
    with suppress(sqlite3.OperationalError):
        return {row[0]: row[1] for row in db.execute(query)}
    return {}


@contextmanager
def one_view(db: sqlite3.Connection) -> Iterator[None]:
    """Several queries on the same state of a store that is being written."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
