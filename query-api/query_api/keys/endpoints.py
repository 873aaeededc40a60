"""API keys."""

from datetime import timedelta
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body, Depends, Path

from query_api.changes import token_of
from query_api.dependencies import OriginDep, RuntimeDep
from query_api.keys.schemas import (
    AdministratorRequest,
    KeyDeleted,
    KeyList,
    KeyRequest,
    KeyView,
    NewKey,
    RotationRequest,
)
from query_api.keys.service import KeyService, MadeKey
from query_api.problems import NotFoundError, problems
from schemas.events.directory import ApiKey
from schemas.ids import TenantId

DEFAULT_ROTATION = RotationRequest()
DEFAULT_ADMINISTRATOR = AdministratorRequest()
router = APIRouter(tags=["keys"])


async def key_service(runtime: RuntimeDep, origin: OriginDep) -> KeyService:
    """Bind the keys to this request's caller."""
    return KeyService.of(runtime, origin)


Service = Annotated[KeyService, Depends(key_service)]
KeyId: TypeAlias = Annotated[str, Path(pattern=r"^[a-z0-9]{16}$")]


@router.post("/keys", status_code=201, summary="Make a key")
async def create_key(wanted: Annotated[KeyRequest, Body()], service: Service) -> NewKey:
    """Make a key, shown once. For another `user` and a few minutes it acts as that user; it is in the audit trail."""
    lifetime = timedelta(seconds=wanted.expires_in_s)
    return _new(await service.create(name=wanted.name, user=wanted.user, scopes=wanted.scopes, lifetime=lifetime))


@router.get("/keys", summary="List keys")
async def list_keys(service: Service) -> KeyList:
    """List all keys of the tenant to an administrator, the caller's own to anyone else."""
    return KeyList(keys=[_view(key_id, record) for key_id, record in service.list()])


@router.post("/keys/{key_id}/rotate", status_code=201, summary="Replace a key", responses=problems(NotFoundError))
async def rotate_key(
    key_id: KeyId, service: Service, wanted: Annotated[RotationRequest, Body()] = DEFAULT_ROTATION
) -> NewKey:
    """Make a key like this one. Both are valid until `overlap_s` have passed, then only the new one."""
    return _new(
        await service.rotate(
            key_id,
            overlap=timedelta(seconds=wanted.overlap_s),
            lifetime=timedelta(seconds=wanted.expires_in_s),
        )
    )


@router.delete("/keys/{key_id}", status_code=202, summary="Withdraw a key", responses=problems(NotFoundError))
async def delete_key(key_id: KeyId, service: Service) -> KeyDeleted:
    """Withdraw a key: anyone their own, administrators all of the tenant's."""
    return KeyDeleted(id=key_id, token=token_of(await service.delete(key_id)))


@router.post(
    "/directory/tenants/{tenant}/administrator",
    status_code=201,
    summary="Give a tenant its first administrator",
    responses=problems(NotFoundError),
)
async def create_administrator(
    tenant: Annotated[TenantId, Path(max_length=63)],
    service: Service,
    wanted: Annotated[AdministratorRequest, Body()] = DEFAULT_ADMINISTRATOR,
) -> NewKey:
    """Make a user and a key with the scopes read, write and admin in another tenant. Needs the scope `system`."""
    lifetime = timedelta(seconds=wanted.expires_in_s)
    return _new(await service.create_administrator(tenant, user=wanted.user, lifetime=lifetime))


def _view(key_id: str, record: ApiKey) -> KeyView:
    return KeyView(
        id=key_id,
        name=record.name,
        user=record.user,
        scopes=record.scopes,
        created_at=record.created_at,
        expires_at=record.expires_at,
    )


def _new(made: MadeKey) -> NewKey:
    view = _view(made.plain.key_id, made.record)
    return NewKey(**view.model_dump(), key=made.plain.text(), applied=made.applied, token=token_of(made.positions))
