"""Settings of a running stack, as the environment of its processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from headwater.local.ports import LOOPBACK
from headwater.local.site import Site
from headwater.settings import Settings

_TOKENIZER = Path("text_embedding/1/tokenizer.json")
_OTHER_TOKENIZER = Path("{model}/1/tokenizer.json")


def environment_of(site: Site, settings: Settings) -> Mapping[str, str]:
    """Return every address, and each folder or file that no setting of the user's places elsewhere."""
    return {**_addresses(site), **dict(_places(site, settings))}


def _addresses(site: Site) -> Mapping[str, str]:
    at = {name: f"{LOOPBACK}:{port}" for name, port in site.ports.items()}
    return {
        "HEADWATER_KAFKA__BOOTSTRAP_SERVERS": at["kafka"],
        "HEADWATER_ELASTICSEARCH__URL": f"http://{at['elasticsearch']}",
        "HEADWATER_MILVUS__URL": f"http://{at['milvus']}",
        "HEADWATER_REDIS__URL": f"redis://{at['redis']}/0",
        "HEADWATER_TRITON__URL": at["triton"],
        "HEADWATER_API__PORT": str(site.ports["api"]),
        "HEADWATER_WEBHOOKS__PORT": str(site.ports["webhooks"]),
        "HEADWATER_LOCAL__STATE_FOLDER": str(site.places.state),
    }


def _places(site: Site, settings: Settings) -> Iterator[tuple[str, str]]:
    state = site.places.state
    more_models = site.places.more_models or site.places.models
    ours: tuple[tuple[str, BaseModel, str, str], ...] = (
        ("KAFKA", settings.kafka, "compression", "none"),  # loopback carries more than two cores compress
        ("BLOBS", settings.blobs, "url", f"file:{state / 'blobs'}"),
        ("HEADS", settings.heads, "folder", str(state / "heads")),
        ("STAGES", settings.stages, "datadir", str(state / "workers")),
        ("API", settings.api, "bootstrap_key_file", str(state / "bootstrap.key")),
        ("API", settings.api, "secret_file", str(state / "api.secret")),
        ("CANARY", settings.canary, "keys_file", str(state / "canary.keys")),
        ("TRITON", settings.triton, "tokenizer_file", str(site.places.models / _TOKENIZER)),
        ("TRITON", settings.triton, "tokenizer_pattern", str(more_models / _OTHER_TOKENIZER)),
    )
    for group, values, field, value in ours:
        if field not in values.model_fields_set:
            yield f"HEADWATER_{group}__{field.upper()}", value
