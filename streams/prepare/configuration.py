"""From settings to what a parser process may take. Apart from `limits`: parser processes read no settings."""

import sys

from headwater.settings import LimitSettings, Settings
from schemas.ids import TenantId
from streams.prepare.limits import ParserLimits


def pages_of(limits: LimitSettings, tenant: TenantId) -> int:
    """Return how many pages a document of this tenant may have."""
    most = limits.of(tenant).max_pages
    return sys.maxsize if most is None else most  # more than any document has


def parser_limits(settings: Settings) -> ParserLimits:
    """Return the limits of the processes that everything but the heavy lane shares."""
    stages = settings.stages
    return ParserLimits(
        memory_bytes=stages.parse_memory_bytes,
        cpu_s=stages.parse_cpu_s,
        heavy_pages=stages.heavy_pages,
        wall_s=stages.parse_timeout_s,
    )


def heavy_parser_limits(settings: Settings) -> ParserLimits:
    """Return the limits of the heavy lane's process: of each page range, not of the document."""
    stages = settings.stages
    return ParserLimits(
        memory_bytes=stages.parse_memory_bytes,
        cpu_s=stages.heavy_parse_cpu_s,
        wall_s=stages.heavy_parse_timeout_s,
    )
