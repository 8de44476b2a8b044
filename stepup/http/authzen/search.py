"""AuthZEN 1.0 section 8: which subjects, resources or actions a policy allows.

A result that a step-up would allow carries that as its obligation (obligations profile, "Obligations
and Search Requests"); it is no permission, and neither is a result without one: the evaluation is.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.domain.decision_request import Entity
from stepup.http.authzen.answers import obligations_of
from stepup.http.authzen.entities import (
    ActionEntity,
    EvaluationRequest,
    Properties,
    ResourceEntity,
    SubjectEntity,
    Text,
    question_of,
)
from stepup.http.json_body import read_json
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.usecases import search
from stepup.usecases.search import FoundPage, Page

Obligations = list[dict[str, Any]]
# Whatever stands in the open place until a candidate does.
_OPEN = ""


class SearchedEntity(msgspec.Struct, frozen=True):
    """The subject or resource that is searched for; an `id` is ignored like any unknown member."""

    type: Text
    properties: Properties = {}


class PageRequest(msgspec.Struct, frozen=True):
    """Section 8.2.1. A token goes on with the search that it came from."""

    token: str = ""
    limit: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET


class SubjectSearchRequest(msgspec.Struct, frozen=True):
    """Section 8.4.1."""

    subject: SearchedEntity
    action: ActionEntity
    resource: ResourceEntity
    context: Properties = {}
    page: PageRequest | UnsetType = UNSET


class ResourceSearchRequest(msgspec.Struct, frozen=True):
    """Section 8.5.1."""

    subject: SubjectEntity
    action: ActionEntity
    resource: SearchedEntity
    context: Properties = {}
    page: PageRequest | UnsetType = UNSET


class ActionSearchRequest(msgspec.Struct, frozen=True):
    """Section 8.6.1. There is no `action`; one that is sent is ignored."""

    subject: SubjectEntity
    resource: ResourceEntity
    context: Properties = {}
    page: PageRequest | UnsetType = UNSET


class PageResponse(msgspec.Struct, frozen=True):
    """Section 8.2.2. An empty `next_token` ends the results."""

    next_token: str
    count: int


class FoundEntity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subject or a resource."""

    type: str
    id: str
    obligations: Obligations = []


class FoundAction(msgspec.Struct, frozen=True, omit_defaults=True):
    """An action."""

    name: str
    obligations: Obligations = []


class EntitySearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Section 8.3: `page` comes first, so that a reader knows early what comes."""

    page: PageResponse | UnsetType = UNSET
    results: list[FoundEntity]


class ActionSearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Section 8.3."""

    page: PageResponse | UnsetType = UNSET
    results: list[FoundAction]


_ERRORS = problem_responses(errors.ClientAuthenticationError, errors.ClientNotAllowedError)


@post(
    "/subject",
    status_code=200,
    tags=["authzen"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(SubjectSearchRequest),
    responses=_ERRORS,
)
async def search_subjects(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[EntitySearchResponse]:
    """Find who may do something."""
    asked = await read_json(request, SubjectSearchRequest)
    subject = SubjectEntity(asked.subject.type, _OPEN, asked.subject.properties)
    whole = EvaluationRequest(subject, asked.action, asked.resource, asked.context)
    request_log(request).action = asked.action.name
    page = await _searched(ports, caller, Entity.SUBJECT, whole, asked.page)
    results = [
        FoundEntity(f.request.subject_type, f.request.subject_id, obligations_of(ports, f.answer))
        for f in page.found
    ]
    return Response(EntitySearchResponse(page=_page_of(asked.page, page), results=results))


@post(
    "/resource",
    status_code=200,
    tags=["authzen"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(ResourceSearchRequest),
    responses=_ERRORS,
)
async def search_resources(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[EntitySearchResponse]:
    """Find what a subject may do something with."""
    asked = await read_json(request, ResourceSearchRequest)
    resource = ResourceEntity(asked.resource.type, _OPEN, asked.resource.properties)
    whole = EvaluationRequest(asked.subject, asked.action, resource, asked.context)
    request_log(request).action = asked.action.name
    page = await _searched(ports, caller, Entity.RESOURCE, whole, asked.page)
    results = [
        FoundEntity(f.request.resource_type, f.request.resource_id, obligations_of(ports, f.answer))
        for f in page.found
    ]
    return Response(EntitySearchResponse(page=_page_of(asked.page, page), results=results))


@post(
    "/action",
    status_code=200,
    tags=["authzen"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(ActionSearchRequest),
    responses=_ERRORS,
)
async def search_actions(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[ActionSearchResponse]:
    """Find what a subject may do with a resource."""
    asked = await read_json(request, ActionSearchRequest)
    whole = EvaluationRequest(asked.subject, ActionEntity(_OPEN), asked.resource, asked.context)
    page = await _searched(ports, caller, Entity.ACTION, whole, asked.page)
    results = [FoundAction(f.request.action, obligations_of(ports, f.answer)) for f in page.found]
    return Response(ActionSearchResponse(page=_page_of(asked.page, page), results=results))


async def _searched(
    ports: Ports,
    caller: Client,
    searched: Entity,
    whole: EvaluationRequest,
    page: PageRequest | UnsetType,
) -> FoundPage:
    part = Page()
    if not isinstance(page, UnsetType):
        limit = None if isinstance(page.limit, UnsetType) else page.limit
        part = Page(token=page.token, limit=limit)
    return await search.search(ports, caller, searched, question_of(whole), part)


def _page_of(asked: PageRequest | UnsetType, page: FoundPage) -> PageResponse | UnsetType:
    # Who did not ask for a page, and got everything, has no use for one.
    if isinstance(asked, UnsetType) and not page.next_token:
        return UNSET
    return PageResponse(page.next_token, len(page.found))


router = Router(
    path="/access/v1/search", route_handlers=[search_subjects, search_resources, search_actions]
)
