"""Keywords and read models in Elasticsearch."""

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex

__all__ = ["ElasticsearchKeywordIndex"]
