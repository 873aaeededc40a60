"""Where this process's codec takes its schema ids from."""

from headwater.settings import KafkaSettings
from schemas.codec import use_schema_ids
from schemas.registry import ManifestIds, SchemaIds, load_manifest


def configure_codec(settings: KafkaSettings) -> SchemaIds:
    """Take ids from the registry that the settings name, else from the committed manifest. Called once, at start."""
    use_schema_ids(ids := _ids(settings.schema_registry_url))
    return ids


def _ids(url: str | None) -> SchemaIds:
    if url is None:
        return ManifestIds(load_manifest())
    from headwater.clients.kafka.schema_registry import HttpSchemaIds

    return HttpSchemaIds(url)
