"""What a store refuses, in our terms: each with its remedy."""

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, MemoryStore
from pydantic import SecretStr

from connectors.objects.client import objects_of, s3_bucket, s3_credentials
from connectors.objects.source import settings_of
from headwater.clients.egress.client import open_egress
from headwater.clients.egress.errors import RateLimitedError
from headwater.clients.listed_objects import ObstoreObjects
from headwater.clients.objects import open_objects
from headwater.clients.s3.answers import head_of, page_of, refusal
from headwater.clients.s3.client import Bucket, S3Objects
from headwater.errors import FatalError, HeadwaterError, RetryableError, SourceGoneError, UnauthorisedError
from headwater.ports.objects import (
    ListedObject,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectVanishedError,
)
from headwater.retry import RetryPolicy
from headwater.settings import EgressSettings
from headwater.sources.objects import ObjectsSettings
from tests.support.egress import FakeClock, egress, reply, scripted

KEYS = {"access_key_id": SecretStr("a"), "secret_access_key": SecretStr("b")}


def answered(status: int, code: str = "", *, key: str | None = None, extra: str = "") -> HeadwaterError:
    content = f"<Error><Code>{code}</Code>{extra}</Error>".encode()
    return refusal(status, content, where="s3://papers", right="s3:GetObject", key=key)


@pytest.mark.parametrize(
    ("status", "code", "key", "kind", "told"),
    [
        (403, "AccessDenied", None, UnauthorisedError, "grant s3:GetObject"),
        (403, "AccessDenied", "k", ObjectDeniedError, "kms:Decrypt"),
        (403, "InvalidAccessKeyId", "k", UnauthorisedError, "access_key_id"),
        (403, "SignatureDoesNotMatch", None, UnauthorisedError, "secret_access_key"),
        (400, "ExpiredToken", "k", UnauthorisedError, "expired"),
        (403, "RequestTimeTooSkewed", None, FatalError, "clock"),
        (404, "NoSuchBucket", "k", SourceGoneError, "no such bucket"),
        (404, "NoSuchKey", "k", ObjectVanishedError, "gone"),
        (412, "PreconditionFailed", "k", ObjectChangedError, "changed"),
        (403, "InvalidObjectState", "k", ObjectArchivedError, "restore"),
        (503, "SlowDown", None, RetryableError, "busy"),
        (503, "", "k", RetryableError, "busy"),
        (429, "", None, RetryableError, "busy"),
        (400, "RequestTimeout", "k", RetryableError, "busy"),
        (418, "Teapot", "k", ObjectDeniedError, "418 Teapot"),
        (418, "Teapot", None, FatalError, "418 Teapot"),
    ],
)
def test_each_refusal_has_its_kind_and_remedy(
    status: int, code: str, key: str | None, kind: type[HeadwaterError], told: str
) -> None:
    error = answered(status, code, key=key)
    assert type(error) is kind
    assert told in str(error)


def test_a_bucket_elsewhere_names_its_region() -> None:
    error = answered(400, "AuthorizationHeaderMalformed", extra="<Region>eu-west-1</Region>")
    assert type(error) is FatalError
    assert "set region to eu-west-1" in str(error)


@pytest.mark.parametrize(
    "content",
    [
        b"<ListBucketResult><IsTruncated>fal",
        b"<ListBucketResult></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
    ],
)
def test_half_a_listing_is_none(content: bytes) -> None:
    with pytest.raises(RetryableError):
        page_of(content, seen_ns=0)


@pytest.mark.parametrize(
    ("storage_class", "restore", "archived"),
    [
        ("STANDARD", None, False),
        ("GLACIER_IR", None, False),
        ("GLACIER", None, True),
        ("DEEP_ARCHIVE", 'ongoing-request="true"', True),
        ("DEEP_ARCHIVE", 'ongoing-request="false", expiry-date="Wed, 01 Apr 2026 00:00:00 GMT"', False),
    ],
)
def test_a_look_and_a_listing_tell_what_an_archive_holds_back(
    storage_class: str, restore: str | None, *, archived: bool
) -> None:
    headers = {"content-length": "1", "last-modified": "Mon, 02 Mar 2026 12:00:00 GMT"}
    headers |= {"x-amz-storage-class": storage_class} | ({"x-amz-restore": restore} if restore else {})
    assert head_of("k", headers, seen_ns=0).archived is archived
    status = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>" if restore else ""
    if restore and not archived:
        status = "<RestoreStatus><RestoreExpiryDate>2026-04-01T00:00:00Z</RestoreExpiryDate></RestoreStatus>"
    listed = (
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>1</Size>"
        "<LastModified>2026-03-02T12:00:00.000Z</LastModified>"
        f"<StorageClass>{storage_class}</StorageClass>{status}</Contents></ListBucketResult>"
    )
    assert page_of(listed.encode(), seen_ns=0).objects[0].archived is archived


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "region is missing"),
        ({"region": "x", "regoin": "y"}, "unknown option regoin"),
        ({"endpoint": "http://127.0.0.1:1"}, "not encrypted"),
    ],
)
def test_options_that_are_wrong_are_named(options: dict[str, str], told: str) -> None:
    settings = ObjectsSettings(url="s3://b", options={name: SecretStr(value) for name, value in options.items()})
    with pytest.raises(FatalError, match=told):
        s3_bucket(settings)


def test_credentials_are_whole_or_none() -> None:
    with pytest.raises(FatalError, match="secret_access_key is missing"):
        s3_credentials(ObjectsSettings(url="s3://b", options={"access_key_id": SecretStr("a")}))
    assert s3_credentials(ObjectsSettings(url="s3://b", options={"skip_signature": SecretStr("true")})) is None


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("s3://papers", "https://papers.s3.eu-west-1.amazonaws.com", "/a%20b"),
        ("s3://papers.example.org/x", "https://s3.eu-west-1.amazonaws.com", "/papers.example.org/a%20b"),
    ],
)
def test_amazons_own_hosts(url: str, host: str, path: str) -> None:
    bucket = s3_bucket(ObjectsSettings(url=url, options={"region": SecretStr("eu-west-1"), **KEYS}))
    assert (str(bucket.base), bucket.path("a b")) == (host, path)


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "root"),
    [
        ("s3://b", "b", "", "s3://b"),
        ("s3://b/", "b", "", "s3://b"),
        ("s3://b/a/c", "b", "a/c/", "s3://b"),
        ("s3://b/b/", "b", "b/", "s3://b"),
        ("s3://b//a/", "b", "/a/", "s3://b"),
        ("s3://b/100%?#", "b", "100%?#/", "s3://b"),
        ("az://container/x", "container", "x/", "az://container"),
    ],
)
def test_what_a_url_says(url: str, bucket: str, prefix: str, root: str) -> None:
    settings = ObjectsSettings(url=url)
    assert (settings.bucket, settings.prefix, settings.root) == (bucket, prefix, root)


def test_settings_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "papers.yaml"
    file.write_text(
        "options: {region: x}\ninclude: ['*.md']\naccess: {readers: [everyone], prefixes: {hr/: {deny: ['user:a']}}}"
    )
    settings = settings_of("s3://b", file)
    assert (settings.url, settings.options["region"].get_secret_value(), settings.include) == ("s3://b", "x", ("*.md",))
    assert settings.access is not None
    assert settings.access.prefixes["hr/"].deny == ("user:a",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_bytes: none", "max_bytes"),
        ("options: {secret_access_key: [x]}", "secret_access_key"),
        ("- a", "not a YAML"),
        ("{", "not a YAML"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "papers.yaml"
    file.write_text(text)
    with pytest.raises(FatalError, match=told):
        settings_of("s3://b", file)
    with pytest.raises(FatalError, match="cannot be read"):
        settings_of("s3://b", tmp_path / "none.yaml")


async def test_googles_and_azures_stores_are_made_of_settings() -> None:
    account = {"account_name": SecretStr("acct"), "account_key": SecretStr("a2V5")}
    assert isinstance(open_objects("az://container", account, setting="u", options_setting="o"), AzureStore)
    anonymous = {"skip_signature": SecretStr("true")}
    assert isinstance(open_objects("gs://bucket", anonymous, setting="u", options_setting="o"), GCSStore)
    async with open_egress(EgressSettings()) as egress:
        objects = objects_of(ObjectsSettings(url="az://container/docs/", options=account), egress)
    assert isinstance(objects, ObstoreObjects)
    with pytest.raises(FatalError, match="access_tags"):
        await objects.tags("k")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_store_that_says_how_long_is_waited_for(status: int) -> None:
    clock, policy = FakeClock(), RetryPolicy(attempts=2, first_delay_s=0.0)
    async with (
        scripted(
            reply(status, Retry_After="30"), reply(200, b"<Tagging/>"), reply(status, Retry_After="4000")
        ) as server,
        egress(clock, {"store.test": [["127.0.0.1"]]}, allowed_hosts=["store.test"]) as opened,
    ):
        bucket = Bucket(endpoint=f"http://store.test:{server.port}", region="x", name="b")
        objects = S3Objects(opened.httpx_client(), bucket, None, policy=policy)
        assert await objects.tags("k") == {}
        assert [30 <= waited <= 33 for waited in clock.waits] == [True]
        with pytest.raises(RateLimitedError, match="asks to wait until"):
            await objects.tags("k")
    assert (len(server.asked), len(clock.waits)) == (3, 1)


async def test_a_listing_that_stands_still_is_given_up() -> None:
    page = b"""<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>
        <Contents><Key>a</Key><Size>1</Size><LastModified>2026-03-02T12:00:00Z</LastModified></Contents>
        </ListBucketResult>"""
    async with (
        scripted(reply(200, page), reply(200, page)) as server,
        egress(FakeClock(), {"store.test": [["127.0.0.1"]]}, allowed_hosts=["store.test"]) as opened,
    ):
        bucket = Bucket(endpoint=f"http://store.test:{server.port}", region="x", name="b")
        objects = S3Objects(opened.httpx_client(), bucket, None, policy=RetryPolicy(attempts=1, first_delay_s=0.0))
        with pytest.raises(RetryableError, match="stands still"):
            [page async for page in objects.pages("")]


async def test_googles_and_azures_stores_are_called_by_way_of_the_proxy() -> None:
    account = {"account_name": SecretStr("acct"), "account_key": SecretStr("a2V5")}
    async with scripted(reply(403), reply(403)) as proxy:
        through = EgressSettings.model_validate(
            {"proxy_url": f"http://127.0.0.1:{proxy.port}", "proxy_credentials": "ann:p@ss"}
        )
        async with open_egress(through) as egress:
            for url, options in (("gs://bucket", {"skip_signature": SecretStr("true")}), ("az://container", account)):
                with pytest.raises(HeadwaterError):
                    await objects_of(ObjectsSettings(url=url, options=options), egress).check("")
    assert [(each.method, each.target) for each in proxy.asked] == [
        ("CONNECT", "storage.googleapis.com:443"),
        ("CONNECT", "acct.blob.core.windows.net:443"),
    ]
    assert {each.headers["proxy-authorization"] for each in proxy.asked} == {"Basic YW5uOnBAc3M="}


async def test_obstore_reads_what_was_listed_and_nothing_else() -> None:
    store = MemoryStore()
    objects = ObstoreObjects(store, url="memory:", options_setting="options")
    await store.put_async("docs/a", b"text")
    await store.put_async("docs/empty", b"")
    await store.put_async("docsier/b", b"text")
    ((listed,),) = [page async for page in objects.pages("docs/")]
    assert await content(objects, listed) == b"text"
    assert await objects.head("docs/a") is not None
    assert await objects.head("docs/none") is None
    await store.put_async("docs/a", b"another")
    with pytest.raises(ObjectChangedError):
        await content(objects, listed)
    await store.delete_async("docs/a")
    with pytest.raises(ObjectVanishedError):
        await content(objects, listed)


async def content(objects: ObstoreObjects, listed: ListedObject) -> bytes:
    return b"".join([piece async for piece in objects.read(listed)])
