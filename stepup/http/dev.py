"""`/dev`: what only a development server shows."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from stepup.ports import Ports


@get("/dev/outbox", include_in_schema=False)
async def outbox(ports: NamedDependency[Ports]) -> list[dict[str, str]]:
    """Return the mails and SMS that would have been sent, newest first: none are sent yet."""
    if not ports.site.development:
        raise NotFoundException
    return []


router = Router(path="/", route_handlers=[outbox])
