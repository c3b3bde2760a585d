"""Coverage-guided fuzzing of one target: `python tests/fuzz/run.py exchange 60` (seconds). Needs atheris.

What it finds is written into the folder of cases that the ordinary tests replay; it ends with the finding, or when its
time is over.
"""

from __future__ import annotations

import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["wire", "proxy", "pipeline"]):
    from tests.fuzz import targets


def main() -> None:
    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    target = targets.TARGETS[name]

    def once(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            folder = targets.FOUND / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
            raise

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate((*targets.seeds(name), *(path.read_bytes() for path in targets.found(name)))):
            (Path(folder) / str(number)).write_bytes(seed)
        bounds = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], *bounds, folder], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
