"""What a source of this kind says in the directory. Values are text there: lists and tables are read as YAML."""

from pydantic import BaseModel

from connectors.setting_types import Names


class TemplateSettings(BaseModel, frozen=True, extra="forbid"):
    """Each field is a `--setting NAME=VALUE`; credentials are `--secret NAME=env:WHERE` and never here."""

    url: str
    spaces: Names = ()  # none: all that the token may see
