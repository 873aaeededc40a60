"""What a source of this kind says in the directory. Values are text there: lists and tables are read as YAML."""

from connectors.budgets import BudgetSettings
from connectors.setting_types import Names


class TemplateSettings(BudgetSettings, frozen=True, extra="forbid"):
    """Each field is a `--setting NAME=VALUE`; credentials are `--secret NAME=env:WHERE` and never here."""

    url: str
    spaces: Names = ()  # none: all that the token may see
