"""`python -m streams STAGE` runs one stage as one process."""

import sys
from importlib import import_module
from typing import Any, Final

from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import FatalError
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.tracing import configure_tracing
from streams.harness.stage import StageSpec

# Named, not discovered: an import error must be seen, and a stage pays for its own libraries only.
# A StageSpec is run by the harness; admission, which needs transactions, and the sweeper run themselves.
STAGES: Final = {
    "admit": "streams.admit.agent:run",
    "prepare": "streams.prepare.agent:PREPARE",
    "embed": "streams.embed.agent:EMBED",
    "index-vectors": "streams.index_vectors.agent:INDEX_VECTORS",
    "index-keywords": "streams.index_keywords.agent:INDEX_KEYWORDS",
    "status": "streams.status.agent:STATUS",
    "feedback": "streams.feedback.agent:FEEDBACK",
    "analytics": "streams.analytics.agent:ANALYTICS",
    "sweep": "streams.sweep.agent:run",
    "rebuild-keywords": "streams.rebuild.agent:REBUILD_KEYWORDS",
    "rebuild-vectors": "streams.rebuild.agent:REBUILD_VECTORS",
    "audit": "streams.audit.agent:run",
}


def load_stage(name: str) -> Any:
    """Import a stage by its name: a StageSpec, or a function of the settings that runs it. Raises KeyError."""
    module, _, attribute = STAGES[name].partition(":")
    return getattr(import_module(module), attribute)


def main(arguments: list[str]) -> int:
    """Run the stage that the only argument names and return the exit code."""
    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m streams STAGE, one of: {', '.join(STAGES)}\n")
        return 2
    settings = Settings()
    configure_logging(settings.telemetry, process=arguments[0])
    configure_tracing(settings.telemetry, process=arguments[0])
    configure_codec(settings.kafka)
    stage = load_stage(arguments[0])
    if isinstance(stage, StageSpec):
        from streams.harness.runner import run  # Faust takes a second to import: admission and the sweeper do without

        return run(stage, settings)
    try:
        stage(settings)
    except FatalError as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
