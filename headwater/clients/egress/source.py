"""Calls to one address: guarded, capped, paced. A limit is waited for and a 304 is a value; the rest is translated.

This is the one layer that repeats calls to a source: connectors do not.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import httpx

from headwater.clients.egress.conditional import Validators
from headwater.clients.egress.deadlines import Remaining
from headwater.clients.egress.decoding import ACCEPTED, decoded, too_large
from headwater.clients.egress.errors import (
    UNAUTHORISED,
    DestinationRefusedError,
    HomeRefusedError,
    SourceAwayError,
    of_status,
)
from headwater.clients.egress.limits import limit_wait_s, says_limited, stated_limits
from headwater.clients.egress.pacing import Clock, SourceBudget
from headwater.clients.egress.requests import (
    REPEATABLE,
    Credential,
    EgressRequest,
    Fetched,
    NotModified,
    RenewableCredential,
    Streamed,
)
from headwater.clients.egress.targets import OWN_HEADERS, REDIRECTS, Hop, checked_url, origin_of, redirected
from headwater.clients.egress.transport import GuardedTransport, Timeouts
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.retry import RetryPolicy
from headwater.settings import EgressSettings
from headwater.telemetry.metrics import EGRESS_REQUESTS

NOT_MODIFIED: Final = 304
FIRST_REFUSAL: Final = 300  # a redirect that is not followed is no content either
EXCERPT_BYTES: Final = 8 * 1024  # of a refusal: enough to tell a secondary limit
USER_AGENT: Final = "headwater"


class EgressSource:
    """All calls of one source: to its own address with its credential, elsewhere without."""

    def __init__(
        self,
        *,
        home: str,
        credential: Credential | None,
        transport: GuardedTransport,
        settings: EgressSettings,
        clock: Clock,
        budget: SourceBudget,
    ) -> None:
        try:
            self._home = checked_url(home)
        except DestinationRefusedError as error:
            raise HomeRefusedError(f"the source's address: {error}") from error
        self._credential, self._transport, self._settings, self._clock = credential, transport, settings, clock
        self._slots, self._pacer, self._wait_s = budget.slots, budget.pacer, budget.wait_s
        self._timeouts = Timeouts(connect_s=settings.connect_timeout_s, read_s=settings.read_timeout_s)

    async def fetch(self, request: EgressRequest) -> Fetched | NotModified:
        """Return a response with its body in memory; NotModified where the request's validators still hold.

        Raises RateLimitedError past the budget for waiting, and what `headwater.clients.egress.errors` lists. Broken
        and failing responses are asked for again a few times where the request may be repeated.
        """
        delays = RetryPolicy(attempts=self._settings.attempts, first_delay_s=0.5).delays()
        while True:
            try:
                async with self.stream(request) as answer:
                    if isinstance(answer, NotModified):
                        return answer
                    content = b"".join([piece async for piece in answer.pieces])
                return Fetched(
                    status=answer.status, headers=answer.headers, validators=answer.validators, content=content
                )
            except SourceAwayError:
                delay_s = next(delays, None)
                if not (request.repeatable or request.method in REPEATABLE) or delay_s is None:
                    raise
                await self._clock.sleep(delay_s)

    @asynccontextmanager
    async def stream(self, request: EgressRequest) -> AsyncIterator[Streamed | NotModified]:
        """Yield a response whose body is read within the block.

        Waits for rate limits, and shows a renewed credential once where one was refused; repeats nothing else.
        """
        hop = self._first(request)
        async with self._slots, AsyncExitStack() as stack:
            try:
                answer = await self._answer(hop, request, stack)
            except (RetryableError, PoisonError, FatalError) as error:
                EGRESS_REQUESTS.labels(_outcome(error)).inc()
                raise
            EGRESS_REQUESTS.labels("not_modified" if isinstance(answer, NotModified) else "answered").inc()
            yield answer

    def _first(self, request: EgressRequest) -> Hop:
        if own := sorted(name for name in request.headers if name.lower() in OWN_HEADERS):
            raise FatalError(f"the header {own[0]} is not a connector's to set; give the source a credential")
        url = checked_url(request.url, base=self._home)
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            **request.headers,
            "Accept-Encoding": ACCEPTED,
            **request.validators.conditions(),
        }
        trusted = origin_of(url) == origin_of(self._home)
        return Hop(method=request.method, url=url, headers=headers, content=request.content, trusted=trusted)

    async def _answer(self, hop: Hop, request: EgressRequest, stack: AsyncExitStack) -> Streamed | NotModified:
        budget_s, repeats, redirects, renewals = self._wait_s, 0, 0, 0
        deadline = Remaining(self._settings.total_timeout_s)
        while True:
            budget_s = await self._pacer.admit(hop.origin.host, budget_s=budget_s)
            opening = await stack.enter_async_context(AsyncExitStack())
            response, secret = await self._open(hop, deadline, opening)
            headers = {name.lower(): value for name, value in response.headers.items()}
            if response.status_code in REDIRECTS and "location" in headers:
                redirects += 1
                await opening.aclose()
                hop = self._followed(hop, response.status_code, headers["location"], redirects)
                continue
            stated = stated_limits(headers, now=self._clock.now())
            if response.status_code == NOT_MODIFIED or response.status_code < FIRST_REFUSAL:
                if stated.exhausted_for_s:
                    self._pacer.hold(hop.origin.host, stated.exhausted_for_s)
                return self._value(response, headers, hop, request, deadline)
            body = await self._excerpt(response, headers, hop, deadline)
            await opening.aclose()
            if response.status_code == UNAUTHORISED and not renewals and self._renews(secret):
                renewals += 1
                continue
            if not says_limited(response.status_code, stated, body):
                name = self._credential.name if self._credential is not None and secret else None
                raise of_status(response.status_code, host=hop.origin.host, credential=name)
            EGRESS_REQUESTS.labels("limited").inc()
            self._pacer.hold(hop.origin.host, limit_wait_s(response.status_code, stated, repeats=repeats))
            repeats += 1
            deadline = Remaining(self._settings.total_timeout_s)

    def _renews(self, secret: Mapping[str, str]) -> bool:
        """Say whether another try may be worth it: a credential was sent, and can be had anew."""
        if secret and isinstance(self._credential, RenewableCredential):
            self._credential.refused(secret)
            return True
        return False

    async def _open(
        self, hop: Hop, deadline: Remaining, stack: AsyncExitStack
    ) -> tuple[httpx.Response, Mapping[str, str]]:
        """Send a hop; return the response and the headers of the credential that went along."""
        secret = await self._credential.headers() if hop.trusted and self._credential is not None else {}
        wire = replace(hop, headers={**hop.headers, **secret})
        try:
            async with deadline.running(hop.origin.host, limit_s=self._settings.header_timeout_s):
                return await stack.enter_async_context(self._transport.opened(wire, timeouts=self._timeouts)), secret
        except DestinationRefusedError as error:
            if hop.origin == origin_of(self._home):
                raise HomeRefusedError(str(error)) from error
            raise

    def _followed(self, hop: Hop, status: int, location: str, redirects: int) -> Hop:
        if redirects > self._settings.max_redirects:
            raise DestinationRefusedError(
                f"{hop.origin} redirects more than {self._settings.max_redirects} times; correct the link at the source"
            )
        return redirected(hop, status=status, location=location)

    def _value(
        self,
        response: httpx.Response,
        headers: Mapping[str, str],
        hop: Hop,
        request: EgressRequest,
        deadline: Remaining,
    ) -> Streamed | NotModified:
        validators = Validators.of(headers)
        if response.status_code == NOT_MODIFIED:
            if not request.validators.conditions():
                raise SourceAwayError(
                    f"{hop.origin.host} answered 304 to a request without conditions; try again later"
                )
            return NotModified(validators=validators.or_else(request.validators), headers=headers)
        limit = min(request.max_bytes or self._settings.max_response_bytes, self._settings.max_response_bytes)
        stated_size = headers.get("content-length", "")
        if hop.method != "HEAD" and stated_size.isdecimal() and int(stated_size[:20]) > limit:
            raise too_large(hop.origin.host, limit)
        return Streamed(
            status=response.status_code,
            headers=headers,
            validators=validators,
            pieces=self._pieces(response, headers, hop, deadline, limit),
        )

    async def _excerpt(
        self, response: httpx.Response, headers: Mapping[str, str], hop: Hop, deadline: Remaining
    ) -> str:
        found = bytearray()
        pieces = self._pieces(response, headers, hop, deadline, self._settings.max_response_bytes)
        # The status is what counts; a body that cannot be read takes nothing from it.
        with suppress(RetryableError, PoisonError):
            async with aclosing(pieces):
                async for piece in pieces:
                    found += piece
                    if len(found) >= EXCERPT_BYTES:
                        break
        return found[:EXCERPT_BYTES].decode(errors="replace")

    def _pieces(
        self, response: httpx.Response, headers: Mapping[str, str], hop: Hop, deadline: Remaining, limit: int
    ) -> AsyncGenerator[bytes, None]:
        raw = deadline.reading(response, hop.origin.host)
        encoding = "" if hop.method == "HEAD" else headers.get("content-encoding", "")
        return decoded(raw, encoding=encoding, limit=limit, host=hop.origin.host)


def _outcome(error: RetryableError | PoisonError | FatalError) -> str:
    return {RetryableError: "retryable", PoisonError: "poison", FatalError: "fatal"}[
        next(kind for kind in (RetryableError, PoisonError, FatalError) if isinstance(error, kind))
    ]
