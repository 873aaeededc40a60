"""The real components that the tests of one run share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from headwater.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """Kafka, Elasticsearch, Milvus, Redis and, where models are built, Triton: up and answering."""

    settings: Settings  # points at the components
    environment: Mapping[str, str]  # the same for a child process: pass `{**os.environ, **stack.environment}`


def external_stack() -> RunningStack:
    """Use the components that the exported HEADWATER_* variables name; nothing is started or stopped."""
    named = {name: value for name, value in os.environ.items() if name.startswith("HEADWATER_")}
    return RunningStack(settings=Settings(), environment=named)
