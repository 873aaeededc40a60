"""Figures with their goals, and the machine they were taken on."""

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number. `goal` is a bound of `value`, none where the number only informs."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    bound: Literal["at least", "at most"] = "at most"

    @property
    def met(self) -> bool | None:
        """Say whether the goal was met; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.bound == "at least" else self.value <= self.goal

    def to_json(self) -> dict[str, Any]:
        """Return what is printed."""
        return asdict(self) | {"met": self.met}


def spread(name: str, seconds: list[float], *, p50: float | None = None, p95: float | None = None) -> list[Figure]:
    """Return median and 95th percentile in ms, of durations in seconds; goals in ms."""
    quantiles = ((50, p50), (95, p95))
    return [
        Figure(name=f"{name}, p{share}", value=float(np.quantile(seconds, share / 100)) * 1000, unit="ms", goal=goal)
        for share, goal in quantiles
    ]


def machine() -> dict[str, Any]:
    """Name the machine, and how busy it is now: a figure taken beside other work says less."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory_kib = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 1024**2, 1),
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
