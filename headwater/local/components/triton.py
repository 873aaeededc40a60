"""Triton with its Python backend."""

from headwater.errors import FatalError
from headwater.local.installation import model_python
from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site


def process(site: Site) -> Process:
    options = {
        "model-repository": site.places.models,
        "backend-directory": site.installation.triton_backends,
        "http-address": LOOPBACK,
        "http-port": site.ports["triton-http"],
        "grpc-address": LOOPBACK,
        "grpc-port": site.ports["triton"],
        "metrics-address": LOOPBACK,
        "metrics-port": site.ports["triton-metrics"],
        "model-control-mode": "none",  # models are what the repository holds at start
        "exit-on-error": "true",
        "exit-timeout-secs": 10,
    }
    return Process(
        name="triton",
        tier=Tier.INFRASTRUCTURE,
        command=(str(site.installation.triton), *(f"--{name}={value}" for name, value in options.items())),
        probe=Probe.TRITON_MODELS,
        port=site.ports["triton-http"],
        environment=model_python(),
    )


def prepare(site: Site) -> None:
    """Raise FatalError when there is no model to serve."""
    if not site.places.models.is_dir():
        raise FatalError(f"no model repository in {site.places.models}: run `headwater setup` in a checkout")
