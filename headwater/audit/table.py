"""The documents of the log as an audit keeps them: one LMDB environment, in the order of their ids.

Not the replica of the API: an audit that read the gate's own view would share its mistakes. What is kept differs, too:
how many rows a revision has, when it was reported, and in whose name a document can be run again.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from headwater.access.clauses import row_readers
from headwater.access.policies import Policy, policy_of
from headwater.audit.judging import LoggedDocument, StoreReports
from headwater.heads.environment import Database, Environment, Transaction, writing
from headwater.heads.records import document_bytes
from headwater.ports.consistency import IdRange
from schemas.events.base import Store
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.ids import DocumentId, Revision, SourceId, TenantId

LAYOUT = "audit-1"
_REPORTS = struct.Struct(">QQQQ")  # complete, rows, reported_ms, failed
_NONE = StoreReports()
_BOUND_BYTES = 4  # of an id that the bounds of a range spell out


class DocumentTable:
    """Documents and what the two stores of one generation reported of them. Belongs to one thread."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._documents = environment.open_db(b"documents", create=True)
        self._reports = environment.open_db(b"reports", create=True)

    def clear(self) -> None:
        """Forget everything."""
        with writing(self._environment) as txn:
            for db in (self._documents, self._reports):
                txn.drop(db, delete=False)

    @contextmanager
    def writing(self) -> Iterator["TableWriter"]:
        """Write in one transaction, all or nothing. Raises FatalError when the environment is full."""
        with writing(self._environment) as txn:
            yield TableWriter(txn, documents=self._documents, reports=self._reports)

    def count(self) -> int:
        """Count the documents, deleted ones included."""
        with self._environment.begin() as txn:
            return int(txn.stat(self._documents)["entries"])

    def documents(self, ids: IdRange) -> Iterator[LoggedDocument]:
        """Yield the documents of a range in the order of their ids, as of one instant."""
        low = bytes.fromhex(ids.low[: _BOUND_BYTES * 2]) if ids.low else b""
        with self._environment.begin() as txn:
            cursor = txn.cursor(db=self._documents)
            found = cursor.set_range(low)
            while found:
                key = bytes(cursor.key())
                document = DocumentId(key.hex())
                if not ids.holds(document):
                    return
                yield _load(document, bytes(cursor.value()), self._of(txn, key))
                found = cursor.next()

    def _of(self, txn: Transaction, key: bytes) -> Mapping[Store, StoreReports]:
        found = ((store, txn.get(_report_key(key, store), db=self._reports)) for store in Store)
        return {store: _load_reports(value) for store, value in found if value is not None}


class TableWriter:
    """One open transaction."""

    def __init__(self, txn: Transaction, *, documents: Database, reports: Database) -> None:
        self._txn, self._documents, self._reports = txn, documents, reports

    def put(self, changed: DocumentChanged) -> None:
        """Take a record of the log."""
        row = (
            changed.tenant_id,
            changed.source,
            changed.external_id,
            changed.revision,
            int(changed.op is DocumentOp.UPSERTED),
            policy_of(*row_readers(changed.access)).hex(),
            int(changed.admitted_at.timestamp() * 1_000),
        )
        value = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
        self._txn.put(document_bytes(changed.document_id), value, db=self._documents)

    def forget(self, document: DocumentId) -> None:
        """Take a tombstone of the log: the document is erased."""
        key = document_bytes(document)
        self._txn.delete(key, db=self._documents)
        for store in Store:
            self._txn.delete(_report_key(key, store), db=self._reports)

    def report(self, progressed: DocumentProgressed, *, written_ms: int) -> None:
        """Take a store's report. Progress only counts upwards: a worker that woke up late may report 8 after 9."""
        key = _report_key(document_bytes(progressed.document_id), progressed.store)
        value = self._txn.get(key, db=self._reports)
        known = _NONE if value is None else _load_reports(value)
        complete, rows, reported_ms, failed = known.complete, known.rows, known.reported_ms, known.failed
        if progressed.outcome is ProgressOutcome.FAILED:
            failed = max(failed, progressed.revision)
        elif progressed.revision >= complete:
            complete, rows, reported_ms = progressed.revision, progressed.rows, written_ms
        self._txn.put(key, _REPORTS.pack(complete, rows, reported_ms, failed), db=self._reports)


def _report_key(document: bytes, store: Store) -> bytes:
    return document + store.value.encode()


def _load_reports(value: bytes) -> StoreReports:
    complete, rows, reported_ms, failed = _REPORTS.unpack(value)
    return StoreReports(complete=Revision(complete), rows=rows, reported_ms=reported_ms, failed=Revision(failed))


def _load(document: DocumentId, value: bytes, reports: Mapping[Store, StoreReports]) -> LoggedDocument:
    tenant, source, external_id, revision, upserted, policy, admitted_ms = json.loads(value)
    return LoggedDocument(
        tenant_id=TenantId(tenant),
        document_id=document,
        source=SourceId(source),
        external_id=external_id,
        revision=Revision(revision),
        op=DocumentOp.UPSERTED if upserted else DocumentOp.DELETED,
        policy=Policy(bytes.fromhex(policy)),
        admitted_ms=admitted_ms,
        reports=reports,
    )
