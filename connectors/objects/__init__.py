"""Buckets as sources: S3, MinIO, Google Cloud Storage, Azure Blob Storage."""
