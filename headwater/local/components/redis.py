"""Redis, for caches only: nothing is written to disk and the oldest entries give way."""

from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site


def process(site: Site) -> Process:
    options = {
        "--bind": LOOPBACK,
        "--port": str(site.ports["redis"]),
        "--dir": str(site.places.data("redis")),
        "--save": "",
        "--appendonly": "no",
        "--maxmemory": "256mb",
        "--maxmemory-policy": "allkeys-lru",
    }
    return Process(
        name="redis",
        tier=Tier.INFRASTRUCTURE,
        command=(str(site.installation.redis), *(part for option in options.items() for part in option)),
        probe=Probe.REDIS_PING,
        port=site.ports["redis"],
    )


def prepare(site: Site) -> None:
    site.places.data("redis").mkdir(parents=True, exist_ok=True)
