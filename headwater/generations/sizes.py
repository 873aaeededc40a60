"""How large a generation is."""

from headwater.clients.elasticsearch.connection import open_client, translated
from headwater.clients.elasticsearch.names import chunks_name
from headwater.settings import ElasticsearchSettings
from schemas.ids import GenerationName


async def count_rows(settings: ElasticsearchSettings, generation: GenerationName) -> int:
    """Return how many rows a generation has in the store of words, older revisions within their grace included."""
    async with open_client(settings) as client, translated(settings):
        counted = await client.count(index=chunks_name(settings, generation))
    return int(counted["count"])
