"""Who may read what is in a folder: `.headwater.yaml` files, one a folder, each a rule (`connectors/rules.py`).

A folder without a file is as its parent. A root without a file is for nobody.
"""

from pathlib import Path
from typing import Final

from connectors.rules import MAX_RULE_BYTES, FolderRuleError, narrowed, read_rule
from schemas.events.documents import Access

RULE_FILE: Final = ".headwater.yaml"


def folder_access(parent: Access, rule_file: Path) -> Access:
    """Return the access of a folder's documents; raise FolderRuleError naming the file and the field."""
    try:
        with rule_file.open("rb") as opened:
            raw = opened.read(MAX_RULE_BYTES + 1)
    except FileNotFoundError:
        return parent
    except OSError as error:
        raise FolderRuleError(f"{rule_file}: cannot be read ({error.strerror}); grant the connector access") from error
    return narrowed(parent, read_rule(raw, str(rule_file)), str(rule_file))
