"""Generations: parser, chunking policy, embedding model and mappings under one name, built and switched as one."""
