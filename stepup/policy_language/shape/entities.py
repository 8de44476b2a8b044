"""The subjects and resources that a policy knows."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stepup.domain.directory import MAX_ENTITIES
from stepup.policy_language.shape.parts import Shape, said

MAX_NAME = 1024
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


class KnownEntity(Shape, kw_only=True):
    """A subject or a resource that the policy knows."""

    type: Annotated[_Name, said("its type, as `user` or `account`")]
    id: Annotated[_Name, said("its identifier, unique within its type")]
    properties: Annotated[
        dict[str, Any] | UnsetType,
        said("what counts of it where a request says nothing"),
    ] = UNSET


class Entities(Shape, kw_only=True):
    """A small directory: what searches find, with properties that stand in for what is not sent."""

    subjects: Annotated[
        list[KnownEntity] | UnsetType, said("who may act", at_most=MAX_ENTITIES)
    ] = UNSET
    resources: Annotated[
        list[KnownEntity] | UnsetType, said("what is acted on", at_most=MAX_ENTITIES)
    ] = UNSET
