"""`python -m sidelight.child ROLE [NUMBER]`: the processes behind `sidelight run`; not a command for people."""

from __future__ import annotations

import importlib
import sys
from inspect import iscoroutine

import orjson
import uvloop

from pipeline.errors import ConfigError
from sidelight.process import report, run_in_the_gaps, set_up_child


def main() -> None:
    """Read the setup, become the role."""
    # Unbuffered: a byte read ahead here would be missing from the control channel later.
    setup = orjson.loads(sys.stdin.buffer.raw.readline())  # type: ignore[union-attr]
    set_up_child(setup["parent"])
    if setup.get("in_the_gaps"):
        run_in_the_gaps()
    role = importlib.import_module(f"sidelight.roles.{sys.argv[1]}")
    try:
        running = role.run(setup)
        if iscoroutine(running):
            uvloop.run(running)
    except ConfigError as error:
        if "status" in setup:  # an evaluator has nobody to tell but the log
            report(setup["status"], error="\n".join(error.problems))
        else:
            print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
