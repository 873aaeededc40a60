"""Credentials of sources: the directory says where they are, never what they are.

Whoever writes a tenant's directory chooses the references. So each tenant has places of its own, and no reference leads
out of them: not to this process's own credentials, and not to another tenant's.
"""

import os
import re
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from headwater.errors import FatalError, UnauthorisedError
from schemas.ids import TenantId

# Of a source's secrets, those that sign its webhooks: only their receiver reads them. Both hold while one takes the
# other's place.
WEBHOOK_SECRETS: Final = ("webhook", "webhook_next")

_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*")


def secret_of(reference: str, *, tenant: TenantId, folder: Path) -> SecretStr:
    """Return what a reference stands for.

    `env:NAME` is the variable HEADWATER_SECRET__TENANT__NAME (upper case, `-` and `.` as `_`), `file:NAME` the file
    TENANT/NAME below the folder. Raises FatalError for another form, UnauthorisedError where there is nothing.
    """
    scheme, _, name = reference.partition(":")
    if scheme not in {"env", "file"} or not _NAME.fullmatch(name):
        raise FatalError("secrets: a reference is `env:NAME` or `file:NAME`, of letters, digits and single _ . -")
    if scheme == "env":
        variable = "__".join(["HEADWATER_SECRET", _word(tenant), _word(name)])
        value = os.environ.get(variable)
        place = f"the variable {variable} of the connector worker"
    else:
        path = folder / tenant / name
        value = path.read_text().strip() if path.is_file() else None
        place = f"the file {path} of the connector worker"
    if not value:
        raise UnauthorisedError(f"secrets: {place} is missing or empty")
    return SecretStr(value)


def _word(name: str) -> str:
    return re.sub(r"[.-]", "_", name).upper()
