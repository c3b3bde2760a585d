"""A real Prometheus that reads a page of ours, and what it answers when it is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from sidelight.demo import free_addresses
from sidelight.demo.children import ready, stop

PROMETHEUS = str(Path(__file__).parents[2] / ".backends" / "prometheus")
PATIENCE = 30.0  # seconds


class Prometheus:
    """Its query API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def _get(self, what: str, **parameters: str) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as response:
            answer = await response.json()
            assert answer["status"] == "success", answer
            return answer["data"]

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Each series' labels and its value now."""
        data = await self._get("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    async def course(self, expression: str, seconds: float) -> list[float]:
        """Values of every series in the last seconds, five seconds apart."""
        end = time.time()
        data = await self._get("query_range", query=expression, start=f"{end - seconds}", end=f"{end}", step="5")
        return [float(value) for series in data["result"] for _, value in series["values"]]

    async def total(self, expression: str) -> float:
        """Of all series that an expression finds; 0 of none."""
        return sum(value for _, value in await self.query(expression))

    async def exemplars(self, metric: str) -> list[dict[str, Any]]:
        """Everything that was kept of a metric."""
        data = await self._get("query_exemplars", query=metric, start="0", end="4102444800")
        return [exemplar for series in data for exemplar in series["exemplars"]]

    async def names(self) -> set[str]:
        """Of all metrics that it has."""
        return set(await self._get("label/__name__/values"))

    async def labels(self) -> set[str]:
        """Of all series that it has."""
        return set(await self._get("labels"))

    async def values(self, label: str, metric: str) -> set[str]:
        """That a label of a metric has."""
        return set(await self._get(f"label/{label}/values", **{"match[]": metric}))

    async def rules(self) -> list[dict[str, Any]]:
        """Recording and alert rules, and how they do."""
        return [rule for group in (await self._get("rules"))["groups"] for rule in group["rules"]]

    async def targets(self) -> list[dict[str, Any]]:
        """What it reads, and how that went."""
        return list((await self._get("targets"))["activeTargets"])

    async def metadata(self) -> dict[str, list[dict[str, str]]]:
        """Type, unit and help of each metric."""
        return dict(await self._get("metadata"))


@asynccontextmanager
async def prometheus(folder: Path, target: str, rules: Sequence[Path] = ()) -> AsyncIterator[Prometheus]:
    """Reading this address every second, and following these rules as often; gone after."""
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(target, rules)))
    async with reading(folder, folder / "prometheus.yaml") as backend:
        yield backend


@asynccontextmanager
async def reading(folder: Path, config: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus with this file; gone after."""
    (address,) = free_addresses(1)
    options = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    )
    log = await asyncio.to_thread((folder / "prometheus.log").open, "wb")
    process = await asyncio.create_subprocess_exec(PROMETHEUS, *options, stdout=log, stderr=log, start_new_session=True)
    try:
        await ready(process, f"http://{address}/-/ready", PATIENCE)
        async with aiohttp.ClientSession() as session:
            yield Prometheus(f"http://{address}", session)
    finally:
        await stop(process)
        await asyncio.to_thread(log.close)


def configuration(target: str, rules: Sequence[Path]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [{"job_name": "sidelight", "static_configs": [{"targets": [target]}]}],
    }
