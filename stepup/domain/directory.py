"""The subjects and resources that a policy knows: a small directory, without which nothing is found.

What it knows of an entity stands in for what a request does not say about it, in evaluations and
searches alike: whatever a search returns is allowed when it is asked about.
"""

from collections.abc import Iterator, Mapping

import msgspec

from stepup.domain.binding import Properties
from stepup.domain.decision_request import DecisionRequest

# Says whose subject it is, not what the subject is like.
ISSUER = "issuer"

MAX_ENTITIES = 1000
"""Of subjects, and of resources: one search looks at all of them, and a document holds them all."""

EntityKey = tuple[str, str]


class KnownEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A subject or a resource; its identifier is unique within its type."""

    type: str
    id: str
    properties: Properties = {}

    @property
    def key(self) -> EntityKey:
        """Return what tells it from every other one."""
        return self.type, self.id

    def has(self, wanted: Properties) -> bool:
        """Say whether it has these properties, with these very values."""
        return all(
            name in self.properties and self.properties[name] == value
            for name, value in wanted.items()
        )


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known, in the order of the document."""

    subjects: Mapping[EntityKey, KnownEntity] = {}
    resources: Mapping[EntityKey, KnownEntity] = {}

    def completed(self, request: DecisionRequest) -> DecisionRequest:
        """Add to a request what is known and was not sent; what was sent always counts."""
        subject = self._subject_of(request)
        resource = self.resources.get((request.resource_type, request.resource_id))
        if subject is None and resource is None:
            return request
        return msgspec.structs.replace(
            request,
            subject=_with(subject, request.subject),
            resource=_with(resource, request.resource),
        )

    def knows_subject_of(self, request: DecisionRequest) -> bool:
        """Say whether the subject is known; where none is listed, anybody is taken at their word."""
        return not self.subjects or self._subject_of(request) is not None

    def knows_resource_of(self, request: DecisionRequest) -> bool:
        """Say whether the resource is known; where none is listed, any resource is."""
        return not self.resources or (request.resource_type, request.resource_id) in self.resources

    def find_subjects(self, request: DecisionRequest) -> Iterator[KnownEntity]:
        """Yield the subjects of a request's type and issuer that have its properties."""
        found = _matching(self.subjects, request.subject_type, request.subject)
        return (subject for subject in found if _is_of_its_issuer(subject, request))

    def find_resources(self, kind: str, wanted: Properties) -> Iterator[KnownEntity]:
        """Yield the resources of a type that have some properties."""
        return _matching(self.resources, kind, wanted)

    def _subject_of(self, request: DecisionRequest) -> KnownEntity | None:
        known = self.subjects.get((request.subject_type, request.subject_id))
        return known if known is not None and _is_of_its_issuer(known, request) else None


def _is_of_its_issuer(known: KnownEntity, request: DecisionRequest) -> bool:
    # The same identifier at another issuer is somebody else, who must not inherit a role.
    whose = known.properties.get(ISSUER)
    if request.subject_issuer is None:
        return whose is None or whose == request.subject.get(ISSUER)
    return whose == request.subject_issuer


def _with(known: KnownEntity | None, sent: Properties) -> Properties:
    return sent if known is None else {**known.properties, **sent}


def _matching(
    known: Mapping[EntityKey, KnownEntity], kind: str, wanted: Properties
) -> Iterator[KnownEntity]:
    return (entity for entity in known.values() if entity.type == kind and entity.has(wanted))
