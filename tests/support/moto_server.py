"""moto's server: S3 as somebody else has read Amazon's documentation. Signatures and rights are checked by it.

Objects are written with Amazon's own client, botocore. Where moto 5.2.5 is not as Amazon documents S3, and what is
therefore left to `bucket_server`:
- a key with a line end has no address ("Object key names" allows any character);
- a listing says nothing of restores, though it is asked for them ("ListObjectsV2", RestoreStatus).
"""

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlencode

from botocore.config import Config
from botocore.session import Session
from moto import settings
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.sts.models import sts_backends
from pydantic import SecretStr
from werkzeug.serving import make_server

from headwater.clients.s3.signing import Credentials
from tests.support.bucket_server import Version

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REGION: Final = "eu-central-1"
MIN_PART_BYTES: Final = 5 * 1024 * 1024  # of an upload in parts, but for the last
_PARTITION: Final = "aws"
_NOTHING_CHECKED: Final = float("inf")
_EMPTY: Final = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_LISTING: Final = b"<ListBucketResult"
_OF_GOOGLE: Final = "HTTP_X_GOOG_"
_NUMBERS: Final = itertools.count()


class Door:
    """Stands before the server: shows requests of the product to the bucket of the test, which may answer instead.

    Google's XML API is S3's with headers of its own name (Cloud Storage, "Interoperability"): they are renamed.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self.bucket: MotoBucket | None = None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for name in [each for each in environ if each.startswith(_OF_GOOGLE)]:
            environ[f"HTTP_X_AMZ_{name.removeprefix(_OF_GOOGLE)}"] = environ.pop(name)
        bucket = self.bucket
        if bucket is None or "Botocore" in environ.get("HTTP_USER_AGENT", ""):
            return self._app(environ, start_response)
        answer = bucket.answer_instead(environ["REQUEST_METHOD"], environ["RAW_URI"])
        if answer is None and bucket.duplicates_pages and "list-type" in environ["QUERY_STRING"]:
            answer = self._page(environ, bucket)
        if answer is None:
            return self._app(environ, start_response)
        status, content = answer
        start_response(status, [("Content-Type", "application/xml")])
        return [content]

    def _page(self, environ: "WSGIEnvironment", bucket: "MotoBucket") -> tuple[str, bytes]:
        """Ask for a page of a listing; it will come once more."""
        told: list[str] = []

        def start(status: str, *_: object) -> Callable[[bytes], object]:
            told.append(status)
            return lambda content: None

        content = b"".join(self._app(environ, start))
        return told[0], bucket.twice(content) if _LISTING in content else content


class MotoServer:
    """A server at `url` and its administrator, who may do everything to S3."""

    def __init__(self, url: str, door: Door) -> None:
        self.url, self.door = url, door
        self.credentials = self.user("s3:*")
        self.s3 = Session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key.get_secret_value(),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def user(self, *actions: str) -> Credentials:
        """Make a user who may do just this."""
        iam, name = iam_backends[DEFAULT_ACCOUNT_ID][_PARTITION], f"user-{next(_NUMBERS)}"
        iam.create_user(REGION, user_name=name)
        iam.put_user_policy(name, "may", _policy(actions))
        key = iam.create_access_key(user_name=name)
        return Credentials(access_key_id=key.access_key_id, secret_access_key=SecretStr(key.secret_access_key))

    def session(self, *actions: str) -> Credentials:
        """Let a role that may do just this be assumed: credentials of a session."""
        iam, sts = iam_backends[DEFAULT_ACCOUNT_ID][_PARTITION], sts_backends[DEFAULT_ACCOUNT_ID][_PARTITION]
        role = iam.create_role(f"role-{next(_NUMBERS)}", "{}", "/", None, "", [], None)
        iam.put_role_policy(role.name, "may", _policy(actions))
        assumed = sts.assume_role(REGION, "test", role.arn, "", 900, "")
        return Credentials(
            access_key_id=assumed.access_key_id,
            secret_access_key=SecretStr(assumed.secret_access_key),
            session_token=SecretStr(assumed.session_token),
        )

    @contextmanager
    def bucket(self) -> Iterator["MotoBucket"]:
        """Make a versioned bucket, and forget it and all it held at the end of the block."""
        bucket = MotoBucket(self, name=f"papers{next(_NUMBERS)}")
        self.s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        self.door.bucket = bucket
        try:
            yield bucket
        finally:
            self.door.bucket = None
            s3_backends[DEFAULT_ACCOUNT_ID][_PARTITION].reset()

    @contextmanager
    def public_bucket(self) -> Iterator["MotoBucket"]:
        """Make a bucket that anybody may write: nothing is signed, as Google's API is not."""
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
        with self.bucket() as bucket:
            self.s3.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({"Statement": [statement]}))
            settings.INITIAL_NO_AUTH_ACTION_COUNT = _NOTHING_CHECKED
            try:
                yield bucket
            finally:
                settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0


class MotoBucket:
    """One bucket of moto's server; what is done to it is done with botocore. What is set on it holds from then on."""

    def __init__(self, server: MotoServer, *, name: str) -> None:
        self.server, self.name = server, name
        self.requests: list[str] = []  # of the product: METHOD key?operation, LIST prefix, TAGS key
        self.on_read: Callable[[str], None] | None = None  # before an object is answered
        self.fails_after_pages: int | None = None
        self.lists_nothing = self.duplicates_pages = self.expired = False
        self.skew = timedelta()  # of its clock to the client's
        self._pages: dict[str, bytes] = {}  # of listings, by the token that shows each once more
        self._tags: dict[str, Mapping[str, str]] = {}

    def answer_instead(self, method: str, target: str) -> tuple[str, bytes] | None:
        """Note a request; return status and content where the server shall not be asked."""
        path, _, query = target.partition("?")
        key, asked = unquote(path.removeprefix(f"/{self.name}").removeprefix("/")), parse_qs(query, True)
        if self.expired:
            return "403 Forbidden", b"" if method == "HEAD" else b"<Error><Code>ExpiredToken</Code></Error>"
        if "list-type" in asked:
            self.requests.append(f"LIST {asked.get('prefix', [''])[0]}")
            again = self._pages.pop(asked.get("continuation-token", [""])[0], None)
            return self._listing_instead() if again is None else ("200 OK", again)
        if "tagging" in asked:
            self.requests.append(f"TAGS {key}")
            return None
        operation = next((name for name in ("uploads", "uploadId", "delete") if name in asked), "")
        self.requests.append(f"{method} {key}" + (f"?{operation}" if operation else ""))
        if method == "GET" and not operation and self.on_read is not None:
            self.on_read(key)
        return None

    def _listing_instead(self) -> tuple[str, bytes] | None:
        if self.fails_after_pages == 0:
            return "500 Internal Server Error", b"<Error><Code>InternalError</Code></Error>"
        if self.fails_after_pages is not None:
            self.fails_after_pages -= 1
        return ("200 OK", _EMPTY) if self.lists_nothing else None

    def twice(self, page: bytes) -> bytes:
        """Keep a page of a listing; return it with a token that leads to it once more."""
        token = f"again{next(_NUMBERS)}"
        self._pages[token] = page
        page = re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", page)
        on = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        return re.sub(rb"<IsTruncated>\w+</IsTruncated>", on.encode(), page)

    @property
    def options(self) -> dict[str, SecretStr]:
        """What a client is opened with."""
        return self.options_for(self.server.credentials)

    def options_for(self, credentials: Credentials) -> dict[str, SecretStr]:
        """What a client is opened with on behalf of somebody."""
        plain = {
            "endpoint": self.server.url,
            "allow_http": "true",
            "region": REGION,
            "access_key_id": credentials.access_key_id,
        }
        secret = {"secret_access_key": credentials.secret_access_key}
        if credentials.session_token is not None:
            secret["session_token"] = credentials.session_token
        return {name: SecretStr(value) for name, value in plain.items()} | secret

    def put(self, key: str, content: bytes, *, storage_class: str = "STANDARD", ago: timedelta = timedelta()) -> None:
        """Store a new version, with the key's tags: tags belong to a version. It is dated back by `ago`."""
        self.server.s3.put_object(
            Bucket=self.name,
            Key=key,
            Body=content,
            StorageClass=storage_class,
            Tagging=urlencode(self._tags.get(key, {})),
        )
        self._stored.getlist(key)[-1].last_modified += self.skew - ago

    def put_parts(self, key: str, parts: Sequence[bytes]) -> None:
        """Store a new version in parts; all but the last have MIN_PART_BYTES or more."""
        s3, target = self.server.s3, {"Bucket": self.name, "Key": key}
        upload = s3.create_multipart_upload(**target)["UploadId"]
        sent = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)["ETag"],
            }
            for number, part in enumerate(parts, 1)
        ]
        s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": sent})

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Tag an object, or what will be stored under its key."""
        self._tags[key] = tags
        if key in self.current():
            pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
            self.server.s3.put_object_tagging(Bucket=self.name, Key=key, Tagging={"TagSet": pairs})

    def delete(self, key: str) -> None:
        """Put a deletion marker on top."""
        self.server.s3.delete_object(Bucket=self.name, Key=key)

    def undo(self, key: str) -> None:
        """Take the newest version away: the one before is current again, with its older time."""
        answer = self.server.s3.list_object_versions(Bucket=self.name, Prefix=key)
        newest = next(
            each
            for each in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
            if each["Key"] == key and each["IsLatest"]
        )
        self.server.s3.delete_object(Bucket=self.name, Key=key, VersionId=newest["VersionId"])

    def restore(self, key: str) -> None:
        """Let an archived object be readable for a day."""
        self.server.s3.restore_object(Bucket=self.name, Key=key, RestoreRequest={"Days": 1})

    def current(self) -> dict[str, Version]:
        """Return what moto holds of the bucket, without a request."""
        newest = {key: versions[-1] for key in self._stored if (versions := self._stored.getlist(key))}
        return {
            key: Version(content=each.value, modified_at=each.last_modified, etag=each.etag)
            for key, each in newest.items()
            if not isinstance(each, FakeDeleteMarker)
        }

    def age(self, modified_at: datetime) -> None:
        """Let all objects be from this time."""
        for key in self._stored:
            for version in self._stored.getlist(key):
                version.last_modified = modified_at.replace(tzinfo=None)

    @property
    def _stored(self) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID][_PARTITION].buckets[self.name].keys

    def uploads(self) -> list[str]:
        """Return the keys of uploads in parts that are neither complete nor aborted."""
        return [each["Key"] for each in self.server.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


def _policy(actions: Sequence[str]) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def moto_server() -> Iterator[MotoServer]:
    """Serve on a free port of loopback in a thread; it listens when this returns. One at a time in a process."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    door = Door(create_backend_app("s3"))
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, name="moto")
    thread.start()
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0  # so many requests pass unchecked
    try:
        yield MotoServer(f"http://127.0.0.1:{server.server_port}", door)
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = _NOTHING_CHECKED
        server.shutdown()
        thread.join()
        server.server_close()
