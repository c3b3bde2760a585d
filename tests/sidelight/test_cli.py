"""Exit codes and one clear line: what people and scripts meet first."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import sidelight
from processors import PROCESSORS
from sidelight.cli import main

CANARY = "canary-7f3a"
VALID = "proxy: {upstreams: {one: {url: http://127.0.0.1:9}}}\n"


class Outcome:
    """Exit code and what was said."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Call = Callable[..., Outcome]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """The command line, called in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    def called(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sidelight", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        return Outcome(exit_.value.code, *capsys.readouterr())

    return called


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_version(call: Call) -> None:
    outcome = call("--version")
    assert (outcome.code, outcome.out) == (0, f"sidelight {sidelight.__version__}\n")


@pytest.mark.parametrize("arguments", [(), ("no-such-verb",), ("run", "--nope"), ("explain",)])
def test_a_wrong_command_is_exit_code_2(call: Call, arguments: tuple[str, ...]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert "usage: sidelight" in outcome.err


def test_validate_says_that_a_file_is_valid(call: Call, file: Path) -> None:
    file.write_text(VALID)
    outcome = call("validate", "--config", str(file))
    assert (outcome.code, outcome.out, outcome.err) == (0, "the configuration is valid\n", "")


def test_validate_takes_the_file_that_lies_here(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text(VALID)
    assert call("validate").code == 0


def test_validate_without_a_file_says_so(call: Call) -> None:
    outcome = call("validate")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "--config" in outcome.err


@pytest.mark.parametrize("verb", ["validate", "print-config", "run"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (VALID + "servce: {}", "servce: unknown key; did you mean service?"),
        ("proxy: {}", "proxy.upstreams: is missing"),
        ("", "is empty"),
        ("a: [", "line 1"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(call: Call, file: Path, verb: str, text: str, place: str) -> None:
    file.write_text(text)
    outcome = call(verb, "--config", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("sidelight: ")
    assert place in outcome.err
    assert outcome.err.count("\n") == 1


def test_validate_looks_into_components_too(call: Call, file: Path) -> None:
    file.write_text(VALID + "processors: {latency: {max: 1}, refusl: {}}")
    outcome = call("validate", "--config", str(file))
    assert outcome.code == 2
    assert [line.partition(": ")[2].partition(":")[0] for line in outcome.err.splitlines()] == [
        "processors.latency.max",
        "processors.refusl",
    ]


@pytest.mark.parametrize("verb", ["validate", "print-config", "run"])
def test_a_file_that_cannot_be_read_is_one_line_and_exit_code_2(call: Call, tmp_path: Path, verb: str) -> None:
    for unreadable in (tmp_path / "missing.yaml", tmp_path):
        outcome = call(verb, "--config", str(unreadable))
        assert outcome.code == 2
        assert outcome.err.startswith(f"sidelight: {unreadable}: cannot be read: ")
        assert outcome.err.count("\n") == 1


def test_a_file_that_is_not_utf8_is_one_line(call: Call, file: Path) -> None:
    file.write_bytes(b"a: \xff\xfe")
    outcome = call("validate", "--config", str(file))
    assert (outcome.code, outcome.err) == (2, f"sidelight: {file}: is not UTF-8 text\n")


def test_print_config_prints_a_configuration_without_a_secret(call: Call, file: Path) -> None:
    upstream = {"url": "http://127.0.0.1:9", "headers": {"set": {"Authorization": f"Bearer {CANARY}"}}}
    exporters = {"otlp": {"headers": {"x-key": CANARY}}}
    file.write_text(yaml.safe_dump({"proxy": {"upstreams": {"one": upstream}}, "exporters": exporters}))
    outcome = call("print-config", "--config", str(file))
    assert outcome.code == 0
    assert CANARY not in outcome.out + outcome.err
    file.write_text(outcome.out)
    assert call("validate", "--config", str(file)).code == 0


def test_print_config_shows_a_value_of_the_environment_in_effect(
    call: Call, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDELIGHT_TEST_NAME", "support-bot")
    file.write_text(VALID + "service: {name: '${env:SIDELIGHT_TEST_NAME}'}")
    assert yaml.safe_load(call("print-config", "--config", str(file)).out)["service"]["name"] == "support-bot"


def test_components_lists_what_ships(call: Call) -> None:
    outcome = call("components")
    assert outcome.code == 0
    assert all(name in outcome.out for name in (*PROCESSORS, "redact", "sample", "otlp", "openai_chat"))


def test_run_with_nothing_to_stand_in_front_of_says_what_to_give(call: Call) -> None:
    outcome = call("run")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "--upstream URL" in outcome.err


def test_run_takes_an_upstream_or_a_file_and_not_both(call: Call, file: Path) -> None:
    file.write_text(VALID)
    assert call("run", "--upstream", "http://h", "--config", str(file)).code == 2


@pytest.mark.parametrize("text", ["service: {}", "proxy: text", "proxy: "])
def test_listen_with_a_file_without_a_proxy_is_one_line(call: Call, file: Path, text: str) -> None:
    file.write_text(text)
    outcome = call("run", "--config", str(file), "--listen", "127.0.0.1:0")
    assert outcome.code == 2
    assert outcome.err.startswith("sidelight: proxy: ")


@pytest.mark.parametrize("arguments", [("--upstream", "nowhere"), ("--upstream", "http://h", "--listen", "x")])
def test_run_refuses_a_bad_argument(call: Call, arguments: tuple[str, ...]) -> None:
    assert call("run", *arguments).code == 2


def test_demo_refuses_no_calls(call: Call) -> None:
    assert call("demo", "--calls", "0").code == 2


def test_explain_finds_the_store_that_the_configuration_names(call: Call, file: Path, tmp_path: Path) -> None:
    file.write_text(VALID + f"exporters: {{store: {{path: {tmp_path / 'elsewhere.db'}}}}}")
    outcome = call("explain", "abc", "--config", str(file))
    assert outcome.code == 1
    assert "elsewhere.db" in outcome.out.replace("\n", "")


# -- as real processes, because these get as far as starting something ------------------------------------------------


def sidelight_run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "config.yaml").write_text(text)
    command = [sys.executable, "-m", "sidelight", "run", "--config", "config.yaml"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_run_with_a_bad_component_starts_nothing(tmp_path: Path) -> None:
    result = sidelight_run(tmp_path, VALID + "processors: {refusl: {}}\nservice: {health: null}")
    assert result.returncode == 2
    assert result.stderr == "sidelight: processors.refusl: there is no such component; did you mean refusal?\n"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("place", ["proxy.listen", "service.health"])
def test_run_on_a_taken_port_is_one_line_and_exit_code_2(tmp_path: Path, place: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = f"127.0.0.1:{held.getsockname()[1]}"
        listen, health = (taken, "null") if place == "proxy.listen" else ("127.0.0.1:0", taken)
        text = f"proxy: {{listen: '{listen}', upstreams: {{one: {{url: http://h}}}}}}\nservice: {{health: {health}}}"
        result = sidelight_run(tmp_path, text)
    assert result.returncode == 2
    assert result.stderr.startswith(f"sidelight: {place}: cannot listen on {taken}: ")
    assert result.stderr.count("\n") == 1


def test_run_with_a_store_that_cannot_be_opened_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    text = "proxy: {listen: '127.0.0.1:0', upstreams: {one: {url: http://h}}}\nservice: {health: null}\n"
    result = sidelight_run(tmp_path, text + "exporters: {store: {path: no/where/x.db}}")
    assert result.returncode == 2
    assert result.stderr.startswith("sidelight: exporters.store.path: cannot keep a salt in no/where/x.db.salt: ")
    assert result.stderr.count("\n") == 1
