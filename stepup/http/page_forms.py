"""What the forms of our pages share: how a body is read, and how a browser is sent on."""

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import RequestEncodingType
from litestar.params import Body

from stepup.domain.errors import InvalidRequestError

AnyRequest = Request[Any, Any, Any]
PageResponse = Response[str]

UNPROCESSABLE = 422
"""A form that was understood and is not right: the page is shown again with an explanation."""

Form = TypeVar("Form")
FormBody = Annotated[Form, Body(media_type=RequestEncodingType.URL_ENCODED)]


def credential_of(text: str) -> dict[str, Any]:
    """Read the credential that the page's script put into its form.

    Raises:
        InvalidRequestError: If it is no JSON object.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidRequestError("credential is not a JSON object.") from error


def see_other(url: str) -> PageResponse:
    """Send the browser on with a GET: 303, since 307 would repeat what the form posted."""
    return Response("", status_code=303, headers={"location": url}, media_type="text/html")
