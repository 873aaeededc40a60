"""POST /v1/documents/{id}/explain, also by the document's address."""

from typing import Annotated

from fastapi import APIRouter, Depends

from query_api.dependencies import FreshnessDep, OriginDep, RuntimeDep
from query_api.documents.addresses import Address, ExternalIdPath, SourcePath
from query_api.documents.endpoints import DocumentIdPath
from query_api.explain.schemas import ExplainRequest, ExplainResponse
from query_api.explain.service import ExplainService
from query_api.problems import NotFoundError, problems

router = APIRouter(prefix="/documents", tags=["documents"])


async def explain_service(runtime: RuntimeDep, origin: OriginDep) -> ExplainService:
    """Bind the explanations to this request's caller."""
    return ExplainService(runtime=runtime, origin=origin)


Explainer = Annotated[ExplainService, Depends(explain_service)]


@router.post(
    "/{document_id}/explain", summary="Say why a document does not answer a question", responses=problems(NotFoundError)
)
async def explain_document(
    document_id: DocumentIdPath, request: ExplainRequest, explainer: Explainer, fresh: FreshnessDep
) -> ExplainResponse:
    """Walk the document's way and the question's path; name the first cause, its evidence and the remedy.

    Asked again by the very code that answers questions. That a document is hidden is said to administrators and to
    maintainers of its source alone; to everybody else it looks like one that does not exist.
    """
    as_of = await fresh.wait(request.after)
    return await explainer.explain(document_id, request, as_of=as_of)


@router.post(
    "/{source}/{external_id}/explain",
    summary="The same, for a document named by source and external id",
    responses=problems(NotFoundError),
)
async def explain_address(
    source: SourcePath,
    external_id: ExternalIdPath,
    request: ExplainRequest,
    explainer: Explainer,
    fresh: FreshnessDep,
) -> ExplainResponse:
    """Name a document as its source does: also one that never came."""
    as_of = await fresh.wait(request.after)
    document = Address(source, external_id).document_id(explainer.origin.caller.tenant_id)
    return await explainer.explain(document, request, as_of=as_of, source=source)
