"""For whom a token will be (RFC 8707)."""

from stepup.domain.client import Client
from stepup.domain.errors import InvalidTargetError
from stepup.domain.requirement import Requirement


def audience_for(caller: Client, requirement: Requirement, resource: str | None) -> str:
    """Choose the token's one audience: the policy's, the one asked for, or the client's default.

    Raises:
        InvalidTargetError: If there is none, or the one asked for is not allowed (RFC 8707).
    """
    if requirement.audience is not None:
        if resource not in {None, requirement.audience}:
            raise InvalidTargetError("The policy fixes another audience for this action.")
        return requirement.audience
    if resource is None:
        if not caller.audiences:
            raise InvalidTargetError("No audience is registered for this client.")
        return caller.audiences[0]
    if resource not in caller.audiences:
        raise InvalidTargetError
    return resource
