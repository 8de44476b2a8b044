"""`/assets`: the built script and style sheet, named by their content and kept for ever."""

from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from stepup.pages import assets


@get("/assets/{name:str}", include_in_schema=False)
async def asset(name: FromPath[str]) -> Response[bytes]:
    """Return one built file."""
    found = assets.find(name)
    if found is None:
        raise NotFoundException
    return Response(
        found.content,
        media_type=found.content_type,
        headers={
            "cache-control": assets.CACHE_CONTROL,
            # The demo and other pages of the operator may use the same style.
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
        },
    )


router = Router(path="/", route_handlers=[asset])
