-- The journal and the ledger. Times are nanoseconds; an exchange is written as pending before it is evaluated
-- and as done after, so what a crash leaves pending is evaluated again.
CREATE TABLE IF NOT EXISTS exchange (
  id            TEXT PRIMARY KEY,           -- sortable by time
  state         TEXT NOT NULL,              -- pending, done
  started_at    INTEGER NOT NULL,           -- since the epoch
  trace_id      TEXT NOT NULL,
  upstream      TEXT NOT NULL,
  method        TEXT NOT NULL,
  path          TEXT NOT NULL,
  status        INTEGER,
  error_type    TEXT,
  operation     TEXT,
  model         TEXT,                       -- as answered, else as asked
  stream        INTEGER NOT NULL,
  duration      INTEGER NOT NULL,
  first_chunk   INTEGER,                    -- streams: time to the first chunk with content
  input_tokens  INTEGER,
  output_tokens INTEGER,
  usage_source  TEXT,                       -- provider, estimated, none
  cost          REAL,                       -- US dollars; NULL: not known
  wire          TEXT,                       -- the wire format that read it
  user          TEXT,                       -- salted hash
  session       TEXT,
  response_id   TEXT,                       -- the provider's id of the answer
  attempts      INTEGER NOT NULL DEFAULT 0, -- times evaluation was begun
  weight        REAL,                       -- once done: how many exchanges it stands for
  kept          TEXT,                       -- once done: ratio, error, slow, flagged; sampled_out: body is gone
  body          BLOB                        -- the Exchange, msgpack then zlib; texts as the content switch says
) STRICT;
CREATE INDEX IF NOT EXISTS exchange_pending ON exchange (id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS exchange_started ON exchange (started_at);
CREATE INDEX IF NOT EXISTS exchange_trace ON exchange (trace_id);
CREATE INDEX IF NOT EXISTS exchange_response ON exchange (response_id) WHERE response_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS ledger (
  exchange_id TEXT NOT NULL REFERENCES exchange (id) ON DELETE CASCADE,
  evaluator   TEXT NOT NULL,                -- its id in the config
  outcome     TEXT NOT NULL CHECK (outcome IN ('pass', 'fail', 'scored', 'error', 'skipped')),
  reason      TEXT,                         -- why skipped, or the error's type
  score       REAL,
  label       TEXT,
  explanation TEXT,
  duration    INTEGER NOT NULL,
  version     TEXT,                         -- of the evaluator
  weight      REAL,                         -- how many exchanges it stands for; NULL: as many as its exchange
  cost        REAL,                         -- US dollars that the judgement itself cost
  calibration TEXT,                         -- of a judge: calibrated, uncalibrated, drifted
  reasoning   TEXT,                         -- a judge's own words, which may quote what it was shown
  PRIMARY KEY (exchange_id, evaluator)
) STRICT, WITHOUT ROWID;

-- Outcomes that come after their exchange is done: the queue of the judges, oldest first.
CREATE TABLE IF NOT EXISTS owed (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  exchange_id TEXT NOT NULL REFERENCES exchange (id) ON DELETE CASCADE,
  evaluator   TEXT NOT NULL,
  weight      REAL NOT NULL,                -- how many exchanges the outcome will stand for
  UNIQUE (exchange_id, evaluator)
) STRICT;
CREATE INDEX IF NOT EXISTS owed_evaluator ON owed (evaluator, number);
