"""All that a component's definition is computed from."""

from dataclasses import dataclass

from headwater.local.installation import Installation
from headwater.local.places import Places
from headwater.local.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One stack on one machine: its folders, its software and its ports."""

    places: Places
    installation: Installation
    ports: Ports
    stack_id: str
    first: bool = True  # see StackRecord
    fed: tuple[str, ...] = ()
