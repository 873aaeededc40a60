"""What a source may say in the directory: judged before anything of it is appended, for the log keeps what it holds."""

from headwater.sources.judging import SettingError
from headwater.sources.kinds import check_references, check_settings
from query_api.problems import InvalidRequestError
from schemas.events.directory import DirectoryRecord, Source


def check_source(source: Source, present: DirectoryRecord | None) -> None:
    """Raise InvalidRequestError that names a wrong setting or reference, and never quotes it.

    What the directory says already is not judged again: whoever pauses a source sends all of its record, and it may
    be older than a rule.
    """
    known = present if isinstance(present, Source) else None
    try:
        if known is None or (known.kind, dict(known.settings)) != (source.kind, dict(source.settings)):
            check_settings(source.kind, source.settings)
        if known is None or dict(known.secrets) != dict(source.secrets):
            check_references(source.secrets)
    except SettingError as error:
        refused = InvalidRequestError(f"{error.field}: {error.fault}", field=error.field, remedy=_remedy(error))
    else:
        return
    raise refused


def _remedy(error: SettingError) -> str:
    return f"{error.remedy[:1].upper()}{error.remedy[1:]}."
