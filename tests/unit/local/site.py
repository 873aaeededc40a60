"""A site that exists on paper only."""

from pathlib import Path

from headwater.local.installation import Installation
from headwater.local.places import Places
from headwater.local.ports import LISTENERS
from headwater.local.site import Site


def paper_site(root: Path) -> Site:
    """All folders below `root`, ports counted up from 20000, software that is not there."""
    software = {name: root / "software" / name for name in Installation.__dataclass_fields__}
    return Site(
        places=Places(state=root / "state", cache=root / "cache", components=root / "components"),
        installation=Installation(**software),
        ports={name: 20_000 + nth for nth, name in enumerate(LISTENERS)},
        stack_id="0123456789ab",
    )
