"""Milvus Lite's own server, as a process that any number of clients may talk to."""

from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site

DATABASE = "milvus.db"  # the server takes file names of at most 36 characters


def process(site: Site) -> Process:
    binary = site.installation.milvus
    data = site.places.data("milvus")
    return Process(
        name="milvus",
        tier=Tier.INFRASTRUCTURE,
        command=(str(binary), str(data / DATABASE), f"{LOOPBACK}:{site.ports['milvus']}", "ERROR"),
        probe=Probe.MILVUS_COLLECTIONS,
        port=site.ports["milvus"],
        environment={"LD_LIBRARY_PATH": str(binary.parent)},
        folder=data,
    )


def prepare(site: Site) -> None:
    site.places.data("milvus").mkdir(parents=True, exist_ok=True)
