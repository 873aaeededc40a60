"""What the settings of all kinds have in common."""

from pydantic import BaseModel


class SourceSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Base of each kind's settings; a field of this class is a setting of every kind.

    What is given may be a credential in the wrong place, so that no error quotes it; messages of validators must not
    either.
    """
