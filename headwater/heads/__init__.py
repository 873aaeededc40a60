"""Heads of documents and control data, materialised from the log in LMDB, with the positions they stand for."""
