"""Searches: a request with one entity left open, and everything that may stand in its place.

Subjects and resources come from the policy's directory, actions from its catalog (AuthZEN section
8). What of it is found, is decided like any other request.
"""

from collections.abc import Iterator

import msgspec

from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.directory import ISSUER
from stepup.domain.policy import Policy

MAX_RESULTS = 100
"""On one page, and when no limit is asked for."""
MAX_EVALUATED = 1000
"""For one page: whoever may do little must not cost more than whoever may do all."""


def candidates(policy: Policy, searched: Entity, request: DecisionRequest) -> list[DecisionRequest]:
    """Return one request for everything that could be found, in the order of the document.

    The open entity's identifier counts for nothing, and its properties are those that it must
    have. With an entity that nobody knows, nothing is found.
    """
    return list(_candidates(policy, searched, request))


def _candidates(
    policy: Policy, searched: Entity, request: DecisionRequest
) -> Iterator[DecisionRequest]:
    directory = policy.directory
    if searched is not Entity.SUBJECT and not directory.knows_subject_of(request):
        return
    if searched is not Entity.RESOURCE and not directory.knows_resource_of(request):
        return
    match searched:
        case Entity.SUBJECT:
            whose = {ISSUER: request.subject[ISSUER]} if ISSUER in request.subject else {}
            for subject in directory.find_subjects(request):
                yield msgspec.structs.replace(request, subject_id=subject.id, subject=whose)
        case Entity.RESOURCE:
            for resource in directory.find_resources(request.resource_type, request.resource):
                yield msgspec.structs.replace(request, resource_id=resource.id, resource={})
        case _:
            for name in policy.catalog:
                yield msgspec.structs.replace(request, action=name, action_properties={})
