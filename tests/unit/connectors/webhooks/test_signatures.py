"""Vectors that the senders publish, and what must not pass."""

import pytest

from connectors.webhooks.signatures import Scheme, is_signed
from tests.support.webhooks import SECRET, digest, signed

# GitHub Docs, "Validating webhook deliveries", "Testing the webhook payload validation".
GITHUB = ("Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
# Atlassian, Bitbucket Cloud "Manage webhooks", "Examples": the same secret, another text.
ATLASSIAN = ("Hello World!", "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9")
NOW = 1_772_442_900.0


def holds(scheme: Scheme, value: str | None, body: bytes, *secrets: str, now_s: float = NOW) -> bool:
    headers = {} if value is None else {scheme.value: value}
    keys = [secret.encode() for secret in secrets or (SECRET,)]
    return is_signed(scheme, headers, body, secrets=keys, now_s=now_s, window_s=300.0)


def timed(body: bytes, *, at: float = NOW, secret: str = SECRET) -> str:
    return signed(body, at=at, secret=secret)["Headwater-Signature"]


def test_published_vectors_hold() -> None:
    assert holds(Scheme.GITHUB, f"sha256={GITHUB[1]}", GITHUB[0].encode())
    assert holds(Scheme.ATLASSIAN, f"sha256={ATLASSIAN[1]}", ATLASSIAN[0].encode())


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        GITHUB[1],
        f"sha1={GITHUB[1]}",
        f"sha256={GITHUB[1][:-1]}",
        f"sha256={GITHUB[1]}00",
        f"sha256={'0' * 64}",
        f"sha256={'é' * 64}",
        f"sha256={GITHUB[1]},sha256={GITHUB[1]}",
    ],
)
def test_anything_else_does_not(value: str | None) -> None:
    assert not holds(Scheme.GITHUB, value, GITHUB[0].encode())


def test_another_body_and_another_secret_do_not() -> None:
    assert not holds(Scheme.GITHUB, f"sha256={GITHUB[1]}", b"Hello, World?")
    assert not holds(Scheme.GITHUB, f"sha256={GITHUB[1]}", GITHUB[0].encode(), "another")


def test_either_secret_of_a_rotation_holds() -> None:
    assert holds(Scheme.GITHUB, f"sha256={GITHUB[1]}", GITHUB[0].encode(), "next", SECRET)
    assert holds(Scheme.GITHUB, f"sha256={GITHUB[1]}", GITHUB[0].encode(), SECRET, "next")


@pytest.mark.parametrize(("age_s", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_time_holds_within_the_window(age_s: int, good: bool) -> None:
    assert holds(Scheme.HEADWATER, timed(b"{}", at=NOW - age_s), b"{}") is good


def test_the_time_is_part_of_what_is_signed() -> None:
    old = timed(b"{}", at=NOW - 1_000)
    assert not holds(Scheme.HEADWATER, old.replace(f"t={int(NOW) - 1_000}", f"t={int(NOW)}"), b"{}")


def test_a_sender_that_rotates_signs_with_both() -> None:
    both = f"{timed(b'{}', secret='next')},v1={digest(b'%d.' % int(NOW) + b'{}')}"
    assert holds(Scheme.HEADWATER, both, b"{}")
    assert holds(Scheme.HEADWATER, both, b"{}", "next")
    assert not holds(Scheme.HEADWATER, both, b"{}", "third")


@pytest.mark.parametrize("value", ["t=1", f"v1={'0' * 64}", "t=x,v1=1", "t=,v1=", ",,,=", f"t=-1,v1={'0' * 64}"])
def test_what_is_no_signature_does_not_hold(value: str) -> None:
    assert not holds(Scheme.HEADWATER, value, b"{}")


def test_two_times_are_none() -> None:
    old = timed(b"{}", at=NOW - 1_000)
    assert not holds(Scheme.HEADWATER, f"t={int(NOW)},{old}", b"{}")
    assert not holds(Scheme.HEADWATER, f"{timed(b'{}')},t={int(NOW)}", b"{}")


@pytest.mark.parametrize(("wrong", "good"), [(3, True), (4, False)])
def test_only_a_few_digests_are_compared(wrong: int, *, good: bool) -> None:
    many = f",v1={'0' * 64}" * wrong
    assert holds(Scheme.HEADWATER, timed(b"{}").replace(",v1", f"{many},v1"), b"{}") is good


def test_no_form_passes_for_another() -> None:
    """Else what was signed long ago would pass without its time."""
    value = timed(b"{}", at=NOW - 1_000)
    assert holds(Scheme.GITHUB, f"sha256={value.partition('v1=')[2]}", b"%d.{}" % (int(NOW) - 1_000))
    headers = {Scheme.GITHUB.value: f"sha256={digest(b'{}')}"}
    for scheme in (Scheme.HEADWATER, Scheme.ATLASSIAN):
        assert not is_signed(scheme, headers, b"{}", secrets=[SECRET.encode()], now_s=NOW, window_s=300.0)
