"""What endpoints ask for, as `Annotated` aliases."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer

from headwater.access.gate import GateView, gate_view
from headwater.access.tokens import decode_token
from headwater.errors import RetryableError
from query_api.changes import Origin
from query_api.identity import Authenticator, Identity
from query_api.problems import NotAppliedYetError
from query_api.runtime import Runtime
from query_api.staleness import require_current

AFTER_HEADER = "Headwater-After"
AFTER_WAIT_SHARE = 0.5  # of the request's time: what follows the waiting needs the rest


async def current_runtime(request: Request) -> Runtime:
    """Return what `create_app` was given."""
    return cast(Runtime, request.app.state.runtime)


RuntimeDep = Annotated[Runtime, Depends(current_runtime)]

_bearer_for_docs = HTTPBearer(
    scheme_name="API key", description="`hw_...`, made by POST /v1/keys or at the first start.", auto_error=False
)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Keeps what is shown current: refuses when this replica is behind, waits for a caller's own writes."""

    runtime: Runtime
    request: Request

    def require_current(self) -> datetime:
        """Return as of when the replica is current; raise StaleReplicaError past the budget."""
        self.request.state.as_of = as_of = require_current(self.runtime)
        return as_of

    async def wait(self, token: str | None) -> datetime:
        """Wait until the write behind a token is applied here; return the new as_of. Nothing to wait for: at once."""
        if token is not None:
            positions = decode_token(token)
            try:
                timeout_s = self.runtime.settings.api.request_timeout_s * AFTER_WAIT_SHARE
                await self.runtime.applied.wait(positions, timeout_s=timeout_s)
            except RetryableError as error:
                raise NotAppliedYetError(str(error), field="after") from error
        return self.require_current()


async def freshness(runtime: RuntimeDep, request: Request) -> Freshness:
    """Bind the freshness rules to this request."""
    return Freshness(runtime, request)


FreshnessDep = Annotated[Freshness, Depends(freshness)]


async def first_identity(
    runtime: RuntimeDep, fresh: FreshnessDep, request: Request, _docs: Annotated[object, Depends(_bearer_for_docs)]
) -> Identity:
    """Authenticate; a replica that is behind might not know of a revoked key, so staleness is looked at first."""
    fresh.require_current()
    return _authenticate(runtime, request)


async def waited_as_of(
    fresh: FreshnessDep,
    _known: Annotated[Identity, Depends(first_identity)],  # nobody waits at our expense before they are known
    after: Annotated[
        str | None, Query(description="A token that a write returned: the response then reflects that write.")
    ] = None,
    after_header: Annotated[str | None, Header(alias=AFTER_HEADER, description="The same, as a header.")] = None,
) -> datetime:
    """Wait for the caller's own write where a token names one; return as of when the response holds."""
    return await fresh.wait(after or after_header)


AsOf = Annotated[datetime, Depends(waited_as_of)]


async def current_identity(runtime: RuntimeDep, request: Request, _as_of: AsOf) -> Identity:
    """Authenticate as of after the waiting: the write that was waited for may have changed the caller's rights."""
    return _authenticate(runtime, request)


Caller = Annotated[Identity, Depends(current_identity)]


def _authenticate(runtime: Runtime, request: Request) -> Identity:
    return Authenticator.of(runtime).authenticate(request.headers.get("authorization"), now=runtime.now())


async def current_gate(runtime: RuntimeDep, caller: Caller) -> GateView:
    """Bind the gate to the caller, as of after the waiting."""
    return gate_view(
        tenant=caller.tenant_id,
        principals=caller.principals,
        directory=runtime.directory,
        directory_position=runtime.heads.directory_position(),
    )


Gate = Annotated[GateView, Depends(current_gate)]


async def client_address(request: Request) -> str | None:
    """Return from where a request came, for the audit trail."""
    return request.client.host if request.client else None


ClientAddress = Annotated[str | None, Depends(client_address)]


async def origin(caller: Caller, client_address: ClientAddress) -> Origin:
    """Return who asks for a change, and from where."""
    return Origin(caller=caller, client_address=client_address)


OriginDep = Annotated[Origin, Depends(origin)]
