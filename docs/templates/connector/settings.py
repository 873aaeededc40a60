"""What a source of this kind says in the directory. Values are text there: lists and tables are read as YAML."""

from headwater.sources.base import BudgetSettings
from headwater.sources.setting_types import Names


class TemplateSettings(BudgetSettings):
    """Each field is a `--setting NAME=VALUE`; credentials are `--secret NAME=env:WHERE` and never here."""

    url: str
    spaces: Names = ()  # none: all that the token may see
