"""What a caller would rather read (RFC 9110 section 12.5.1)."""

from litestar.types import Scope

from stepup.http.headers import headers

_JSON = b"application/json"


def prefers(scope: Scope, media_type: bytes) -> bool:
    """Say whether a caller names a media type, and JSON not before it.

    It must be named itself: a wildcard means that anything will do, and JSON is what there is.
    """
    weights: dict[bytes, float] = {}
    for sent in headers(scope, b"accept"):
        for entry in sent.split(b","):
            name, *parameters = (part.strip().lower() for part in entry.split(b";"))
            weights[name] = _weight(parameters)
    wanted = weights.get(media_type, 0.0)
    return wanted > 0 and wanted >= weights.get(_JSON, 0.0)


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            # Also refuses what is no number.
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
