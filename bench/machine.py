"""The machine: where processes run, what they used, and that none is left behind."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from bench.measure import Stat, descendants, parse_busy, parse_pss, parse_stat

TICK = 1 / os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
HARNESS_CPU = CORES[0]
PROXY_CPU = CORES[1] if len(CORES) > 1 else CORES[0]
GRACE = 10.0  # s a process may take to stop
PR_SET_PDEATHSIG = 1
LAST_IN_LINE = 19
LIBC = ctypes.CDLL(None)


def read_stats() -> dict[int, Stat]:
    """Every process there is."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stat = parse_stat(path.read_text())
            stats[stat.pid] = stat
    return stats


def tree(root: int) -> set[int]:
    return descendants(read_stats().values(), root)


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of user and system time of just these processes' threads; from the scheduler, so to the ns."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for times in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(times.read_text().split()[0])
    return total / 1e9


def cpu_of_tree(root: int) -> float:
    """Seconds of `root` and all it started, those that have ended included."""
    stats = read_stats()
    return TICK * sum(stats[pid].own + stats[pid].reaped for pid in descendants(stats.values(), root) if pid in stats)


def memory_of(pids: Iterable[int]) -> int:
    """Proportional set size, bytes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += parse_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return total


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def threads_of(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    return []


def pin(pid: int, cpu: int) -> None:
    """All threads of a process to one core."""
    for thread in threads_of(pid):
        with suppress(OSError):
            os.sched_setaffinity(thread, {cpu})


def put_last(pid: int) -> None:
    """All threads of a process, and what it starts from now on, behind everybody else on their core."""
    for thread in threads_of(pid):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, LAST_IN_LINE)


class Window:
    """What processes used between `open` and `close`."""

    def __init__(self, hot: Callable[[], Sequence[int]], root: int | None) -> None:
        """`hot` names the processes of the data plane; `root` is the peer's first process."""
        self.hot = hot
        self.root = root

    def open(self) -> None:
        self._started = self._read()

    def close(self) -> None:
        """Sets, in seconds: `seconds` that passed, `hot_cpu`, `all_cpu` and `foreign_cpu` (not ours, per second)."""
        self.seconds, self.hot_cpu, self.all_cpu, ours, busy = (
            after - before for after, before in zip(self._read(), self._started, strict=True)
        )
        self.foreign_cpu = max(0.0, busy - ours) / self.seconds

    def _read(self) -> tuple[float, float, float, float, float]:
        everything = cpu_of_tree(self.root) if self.root else 0.0
        busy = TICK * parse_busy(Path("/proc/stat").read_text())
        return time.monotonic(), cpu_of(self.hot()), everything, cpu_of_tree(os.getpid()), busy


class Children:
    """The processes the bench starts; leaving the context ends them all, and so does the bench's own death."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.running):
            self.stop(child)

    def start(self, *command: str, cpu: int, piped: bool = False) -> subprocess.Popen[str]:
        """A process on one core; `piped`: its output is read by the caller, else it joins its errors in a log."""
        log = self.logs / f"{len(self.running)}.log"
        with log.open("w") as errors:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else errors,
                stderr=errors,
                text=True,
                process_group=0,  # an interrupt at the terminal is for the bench, which stops them in order
                preexec_fn=lambda: settle_in(cpu),
            )
        self.running.append(child)
        return child

    def log_of(self, child: subprocess.Popen[str]) -> str:
        """The end of what it wrote to its log."""
        return (self.logs / f"{self.running.index(child)}.log").read_text()[-800:]

    def stop(self, child: subprocess.Popen[str]) -> None:
        """Asks, waits, then kills whatever is left of it and of what it started."""
        if child.poll() is None:
            family = tree(child.pid)
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()


def settle_in(cpu: int) -> None:
    """In a new process: its core, and its end when the bench ends."""
    os.sched_setaffinity(0, {cpu})
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def python(module: str, **options: object) -> list[str]:
    """A command that runs `module` with `--option value`."""
    flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", module, *flags]


def until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for `ready`, and says what it was waiting for when it waited too long."""
    patience_ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > patience_ends:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def quiet(root: int, seconds: float) -> bool:
    """Waits until a peer's processes have nothing left to do; False when they still had after `seconds`."""
    patience_ends = time.monotonic() + seconds
    while time.monotonic() < patience_ends:
        before = cpu_of_tree(root)
        time.sleep(0.3)
        if cpu_of_tree(root) - before <= 2 * TICK:
            return True
    return False


def described() -> Mapping[str, object]:
    """What a reader must know of the machine to place the figures."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    uname = os.uname()
    return {
        "cpu": cpu[1] if cpu else "unknown",
        "cores": len(CORES),
        "kernel": uname.release,
        "arch": uname.machine,
        "python": sys.version.split()[0],
        "proxy_cpu": PROXY_CPU,
        "harness_cpu": HARNESS_CPU,
    }
