"""From settings to what a parser process may take. Apart from `limits`: parser processes read no settings."""

from headwater.settings import Settings
from streams.prepare.limits import ParserLimits


def parser_limits(settings: Settings) -> ParserLimits:
    """Return the limits of the processes that everything but the heavy lane shares."""
    stages = settings.stages
    return ParserLimits(
        memory_bytes=stages.parse_memory_bytes,
        cpu_s=stages.parse_cpu_s,
        pages=settings.limits.max_pages,
        heavy_pages=stages.heavy_pages,
        wall_s=stages.parse_timeout_s,
    )


def heavy_parser_limits(settings: Settings) -> ParserLimits:
    """Return the limits of the heavy lane's process: of each page range, not of the document."""
    stages = settings.stages
    return ParserLimits(
        memory_bytes=stages.parse_memory_bytes,
        cpu_s=stages.heavy_parse_cpu_s,
        pages=settings.limits.max_pages,
        wall_s=stages.heavy_parse_timeout_s,
    )
