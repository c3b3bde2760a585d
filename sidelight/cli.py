"""The command line: every verb, its options, and its exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn

import uvloop
from rich.console import Console

from config.build import build_one
from config.load import load, settings_from, suggestion
from config.settings import Settings, parse_duration
from exporters.otlp import Otlp
from pipeline.errors import ConfigError
from sidelight import __version__
from sidelight.backfill import backfill
from sidelight.calibrate import PASS_AT, Asked, calibrate_file
from sidelight.components import build_components, evaluators_among, judges_among, with_defaults
from sidelight.demo import run_demo
from sidelight.doctor import examine
from sidelight.evaluate import Request, evaluate_file
from sidelight.explain import explain
from sidelight.otel_environment import Told, told_by
from sidelight.process import set_up_logging
from sidelight.show import list_components, print_config
from sidelight.status import show_status
from sidelight.supervisor import Supervisor, settings_of

DEFAULT_FILE: Final = "sidelight.yaml"
BAD_CONFIG: Final = 2


def main() -> NoReturn:
    """Parse, run, exit: 0 for success, 1 for no, 2 for a configuration or command that is wrong."""
    arguments = parser().parse_args()
    try:
        sys.exit(arguments.verb(arguments))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except ConfigError as error:
        for problem in error.problems:
            print(f"sidelight: {problem}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_CONFIG)


def parser() -> argparse.ArgumentParser:
    """Every verb and its options."""
    top = argparse.ArgumentParser(prog="sidelight", description="Evaluates LLM traffic; changes no byte.")
    top.add_argument("--version", action="version", version=f"sidelight {__version__}")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = verb(verbs, "run", do_run, "stand in front of an endpoint")
    add_config(run)
    run.add_argument("--upstream", metavar="URL", help="no file needed: forward everything to this endpoint")
    run.add_argument("--listen", metavar="HOST:PORT", help="instead of proxy.listen")

    add_config(verb(verbs, "validate", do_validate, "check a configuration and start nothing"))
    verb(verbs, "components", do_components, "list processors, exporters and wire formats with their options")
    add_config(verb(verbs, "print-config", do_print_config, "show the configuration in effect, secrets redacted"))

    demo = verb(verbs, "demo", do_demo, "see it work: a simulated endpoint, traffic, evaluations; offline")
    demo.add_argument("--calls", type=int, default=240, help="calls to make (240)")
    demo.add_argument("--keep", action="store_true", help="keep the folder with the store")
    demo.add_argument("--otlp", metavar="URL", help="tell this collector or backend everything, over HTTP")

    story = verb(verbs, "explain", do_explain, "tell the story of one exchange")
    story.add_argument("id", help="an exchange's id, the beginning of one, a trace id, or an answer's id")
    story.add_argument("--store", metavar="FILE", help="the store (default: the configuration's)")
    add_config(story)

    evaluate = verb(verbs, "evaluate", do_evaluate, "ask the evaluators about a file of questions and answers")
    evaluate.add_argument("file", metavar="FILE", help=".csv, .tsv, .jsonl, .json or .parquet")
    add_map(evaluate)
    evaluate.add_argument(
        "--label",
        metavar="ROLE=COLUMN",
        action="append",
        default=[],
        help="compare labels: true=COLUMN and predicted=COLUMN, and score=COLUMN for AUC",
    )
    evaluate.add_argument(
        "--min-pass-rate", metavar="SHARE", type=float, default=1.0, help="that each evaluator must reach (1.0)"
    )
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write everything there, for programs")
    evaluate.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit's XML there, for CI")
    evaluate.add_argument("--html", metavar="FILE", type=Path, help="write a page there, for people")
    evaluate.add_argument(
        "--resume", metavar="FILE", type=Path, help="keep outcomes there as they come; if some are there, go on"
    )
    add_config(evaluate)

    calibrate = verb(verbs, "calibrate", do_calibrate, "hold an evaluator against labels that people gave")
    calibrate.add_argument("file", metavar="FILE", help=".csv, .tsv, or .jsonl with an object a line")
    calibrate.add_argument(
        "--evaluator", metavar="ID", required=True, help="whose verdicts; its id in the configuration"
    )
    calibrate.add_argument("--label", metavar="COLUMN", help="what people say (default: label, human, gold, rating, …)")
    calibrate.add_argument(
        "--score", metavar="COLUMN", help="what the evaluator said; without it, the evaluator is asked"
    )
    calibrate.add_argument(
        "--pass-at", metavar="NUMBER", type=float, default=PASS_AT, help="the grade or score that is a pass (3)"
    )
    add_map(calibrate)
    calibrate.add_argument("-o", "--out", metavar="FILE", help="write the calibration there, as JSON")
    add_config(calibrate)

    again = verb(verbs, "backfill", do_backfill, "judge again what the store holds, as the configuration says now")
    again.add_argument("--since", metavar="TIME", default="7d", help="how far back, like 12h or 30d (7d)")
    again.add_argument("--write", action="store_true", help="put the outcomes in the place of those in the store")
    again.add_argument(
        "--evaluator", metavar="ID", action="append", default=[], help="only this one; may be given again (all)"
    )
    add_config(again)

    status = verb(verbs, "status", do_status, "how the Sidelight that runs fares")
    status.add_argument("--health", metavar="HOST:PORT", help="its page (default: the configuration's service.health)")
    status.add_argument("--json", action="store_true", help="the page as it is")
    add_config(status)

    text = "does everything answer that a configuration names? Sends one marked call to each OTLP backend"
    add_config(verb(verbs, "doctor", do_doctor, text))
    return top


def verb(verbs: Any, name: str, action: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """One sub-command."""
    command: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    command.set_defaults(verb=action)
    return command


def add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help=f"the configuration (default: {DEFAULT_FILE})")


def add_map(command: argparse.ArgumentParser) -> None:
    text = "which column is what, like response=Reply"
    command.add_argument("--map", metavar="FIELD=COLUMN", action="append", default=[], help=text)


def map_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Field → column."""
    return pairs("--map", arguments.map, "response=Reply")


def tree_from(file: str) -> dict[str, Any]:
    """A configuration file → its tree, defaults of omitted sections filled in."""
    try:
        text = Path(file).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None
    return with_defaults(load(text, file=file), environment())


def environment() -> Told:
    """What OpenTelemetry's own variables say; what cannot be read of them is told."""
    told = told_by(os.environ)  # noqa: TID251 - they have no other place
    for problem in told.problems:
        sys.stderr.write(f"sidelight: {problem}\n")
    return told


def file_of(arguments: argparse.Namespace) -> str | None:
    """The file that is named, or the one that lies here."""
    if arguments.config:
        return str(arguments.config)
    return DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else None


def tree_of(arguments: argparse.Namespace) -> dict[str, Any]:
    file = file_of(arguments)
    if file is None:
        raise ConfigError(f"there is no {DEFAULT_FILE} here; name a file with --config")
    return tree_from(file)


def do_run(arguments: argparse.Namespace) -> int:
    """Until a signal says stop."""
    file = None if arguments.upstream else file_of(arguments)
    if arguments.upstream and arguments.config:
        raise ConfigError("--upstream and --config exclude each other: put the upstream into the file")
    if arguments.upstream:
        tree = with_defaults({"proxy": {"upstreams": {"default": {"url": arguments.upstream}}}}, environment())
    elif file:
        tree = tree_from(file)
    else:
        raise ConfigError(f"nothing to stand in front of: give --upstream URL, --config FILE or a {DEFAULT_FILE} here")

    def with_listen(tree: dict[str, Any]) -> dict[str, Any]:
        if not arguments.listen:
            return tree
        settings_from(tree)  # what it lacks is told before it is looked into
        return tree | {"proxy": tree["proxy"] | {"listen": arguments.listen}}

    tree = with_listen(tree)
    set_up_logging(settings_from(tree).service.log_level)
    supervisor = Supervisor(tree, (lambda: with_listen(tree_from(file))) if file else None)
    return uvloop.run(supervisor.run(announce))


def announce(supervisor: Supervisor) -> None:
    """One line to copy from."""
    scheme = "https" if supervisor.settings.proxy.tls else "http"
    base = supervisor.address if supervisor.address.startswith("unix:") else f"{scheme}://{supervisor.address}"
    upstreams = ", ".join(upstream.url for upstream in supervisor.settings.proxy.upstreams.values())
    print(f"sidelight {__version__}: {base} -> {upstreams}", file=sys.stderr)  # noqa: T201


def do_validate(arguments: argparse.Namespace) -> int:
    settings_of(tree_of(arguments))
    print("the configuration is valid")  # noqa: T201
    return 0


def do_components(_: argparse.Namespace) -> int:
    list_components(Console())
    return 0


def do_print_config(arguments: argparse.Namespace) -> int:
    print(print_config(settings_of(tree_of(arguments))), end="")  # noqa: T201
    return 0


def do_demo(arguments: argparse.Namespace) -> int:
    if arguments.calls < 1:
        raise ConfigError("--calls: at least 1")
    if arguments.otlp:
        build_one(("--otlp",), {"endpoint": arguments.otlp}, Otlp)
    return asyncio.run(run_demo(arguments.calls, arguments.keep, arguments.otlp, Console()))


def do_explain(arguments: argparse.Namespace) -> int:
    store = arguments.store or store_of(arguments)
    return 0 if explain(Path(store), arguments.id, Console()) else 1


def do_evaluate(arguments: argparse.Namespace) -> int:
    """0 when every pass rate is reached, 1 when not."""
    if not 0 <= arguments.min_pass_rate <= 1:
        raise ConfigError("--min-pass-rate: give a share from 0 to 1")
    request = Request(
        file=Path(arguments.file),
        given=map_of(arguments),
        labels=pairs("--label", arguments.label, "true=Intent"),
        least=arguments.min_pass_rate,
        json=arguments.json,
        junit=arguments.junit,
        html=arguments.html,
        resume=arguments.resume,
    )
    settings = settings_or_defaults(arguments)
    return 0 if asyncio.run(evaluate_file(request, settings, build_components(settings), Console())) else 1


def pairs(option: str, given: list[str], example: str) -> dict[str, str]:
    """What stands before and behind the first `=` of each."""
    if unclear := [each for each in given if "=" not in each]:
        raise ConfigError(*(f"{option} {each}: write NAME=COLUMN, like {example}" for each in unclear))
    return dict(each.partition("=")[::2] for each in given)


def do_calibrate(arguments: argparse.Namespace) -> int:
    """0 when the evaluator is calibrated, 1 when not."""
    if not isfinite(arguments.pass_at):
        raise ConfigError("--pass-at: give a number")
    asked = Asked(
        file=Path(arguments.file),
        evaluator=arguments.evaluator,
        label=arguments.label,
        score=arguments.score,
        given=map_of(arguments),
        pass_at=arguments.pass_at,
        out=Path(arguments.out) if arguments.out else None,
    )
    return 0 if calibrate_file(asked, settings_or_defaults(arguments), datetime.now(UTC), Console()) else 1


def do_backfill(arguments: argparse.Namespace) -> int:
    """0 when everything was judged again."""
    settings = only(settings_or_defaults(arguments), arguments.evaluator)
    try:
        since = float(str(parse_duration(arguments.since)))
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from None
    store = Path(settings.store.path)
    components = build_components(settings)
    asyncio.run(backfill(store, settings, components, since, Console(), write=arguments.write))
    return 0


def only(settings: Settings, evaluators: list[str]) -> Settings:
    """With these evaluators and judges alone; with all when none is named."""
    known = evaluators_among(settings.processors) | judges_among(settings.processors)
    if unknown := [name for name in evaluators if name not in known]:
        raise ConfigError(*(f"--evaluator {name}: {suggestion(name, list(known))}" for name in unknown))
    others = known.keys() - set(evaluators) if evaluators else set()
    processors = {name: options for name, options in settings.processors.items() if name not in others}
    return settings.model_copy(update={"processors": processors})


def do_status(arguments: argparse.Namespace) -> int:
    """0 when it serves, 1 when not."""
    address = arguments.health or settings_or_defaults(arguments).service.health
    if address is None:
        raise ConfigError("service.health is null, so there is no page to ask; set it, and start Sidelight again")
    return 0 if asyncio.run(show_status(address, arguments.json, Console())) else 1


def do_doctor(arguments: argparse.Namespace) -> int:
    """0 when all is well, 1 when not."""
    settings = settings_from(tree_of(arguments))
    return 0 if asyncio.run(examine(settings, build_components(settings), Console())) else 1


def store_of(arguments: argparse.Namespace) -> str:
    return settings_or_defaults(arguments).store.path


def settings_or_defaults(arguments: argparse.Namespace) -> Settings:
    """Of the configuration, or the defaults when there is none."""
    file = file_of(arguments)
    none: Mapping[str, Any] = {"proxy": {"upstreams": {"none": {"url": "http://localhost"}}}}
    return settings_from(tree_from(file) if file else with_defaults(none))
