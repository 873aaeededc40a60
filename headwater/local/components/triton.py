"""Triton with its Python backend."""

from typing import Final

from headwater.errors import FatalError
from headwater.local.installation import model_python
from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site

# Its Python backend gives up a model whose process was kept from running for a second while it loads, and then waits
# for ever for that healthy process to end (ADR 0133). It loads in 15 s, in half a minute beside other work.
_HUNG_AFTER_S: Final = 60.0
_START_TIMEOUT_S: Final = 7 * _HUNG_AFTER_S  # three attempts, each with twice the time of the one before


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
    more_models = () if site.places.more_models is None else (f"--model-repository={site.places.more_models}",)
    return Process(
        name="triton",
        tier=Tier.INFRASTRUCTURE,
        command=(
            str(site.installation.triton),
            *(f"--{name}={value}" for name, value in options.items()),
            *more_models,
        ),
        probe=Probe.TRITON_MODELS,
        port=site.ports["triton-http"],
        environment=model_python(),
        start_timeout_s=_START_TIMEOUT_S,
        hung_after_s=_HUNG_AFTER_S,
    )


def prepare(site: Site) -> None:
    """Raise FatalError when there is no model to serve."""
    if not site.places.models.is_dir():
        raise FatalError(f"no model repository in {site.places.models}: run `headwater setup` in a checkout")
    if site.places.more_models is not None and not site.places.more_models.is_dir():
        raise FatalError(f"HEADWATER_LOCAL__MODEL_REPOSITORY {site.places.more_models}: there is no such folder")
