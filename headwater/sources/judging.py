"""Settings of a source, read as their kind's model. What is wrong is named with its remedy and never quoted."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from headwater.errors import FatalError
from headwater.sources.credentials import has_credential

S = TypeVar("S", bound=BaseModel)
CORRECT: Final = "correct the source in the directory"


class SettingError(FatalError):
    """A setting or a reference of a source is wrong. The text says field, fault and remedy, never the value."""

    def __init__(self, field: str, fault: str, *, remedy: str = CORRECT) -> None:
        super().__init__(f"{field}: {fault}; {remedy}")
        self.field, self.fault, self.remedy = field, fault, remedy


def field_of(*path: str | int) -> str:
    """Return how messages call a place below `settings`. A name that has the form of a credential is left out."""
    return ".".join(("settings", *("…" if has_credential(str(part)) else str(part) for part in path)))


def unknown_setting(name: str, known: Iterable[str], *, of: str) -> SettingError:
    """Return the error for a name that `of` does not know."""
    return SettingError(field_of(name), f"not a setting of {of}; there are {', '.join(sorted(known))}")


def typed(model: type[S], given: Mapping[str, Any], *, of: str) -> S:
    """Return settings in their types. Raise SettingError that names the first wrong field; `of` is whose they are."""
    for name in given:
        if name not in model.model_fields:
            raise unknown_setting(name, model.model_fields, of=of)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        fault = str(first["msg"]).removeprefix("Value error, ")
    # Outside the handler: the refused value would hang on the error as its context, for whoever logs tracebacks.
    raise SettingError(field_of(*first["loc"]), fault)
