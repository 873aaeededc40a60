"""Numbered, reversible migrations of the Elasticsearch indices and the Milvus collections."""

from headwater.migrations.model import Migration, MigrationState, PlannedMigration
from headwater.migrations.runner import Migrator, open_migrator

__all__ = ["Migration", "MigrationState", "Migrator", "PlannedMigration", "open_migrator"]
