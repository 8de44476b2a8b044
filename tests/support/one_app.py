"""One application for every test: making it takes longer than most tests do.

Its ports stand in for those of the world that a request belongs to, so that two worlds, and two
requests at once, never see each other.
"""

from contextvars import ContextVar
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from stepup.domain.site import Site
from stepup.domain.status import ListName
from stepup.http.app import Beside, create_app
from stepup.http.health import Readiness
from stepup.http.page_errors import PageErrorRenderer
from stepup.ports import Ports, StatusStore
from stepup.usecases.status_lists import LiveStatusLists, PublishedList
from tests.support.memory_revocations import known_revocations
from tests.support.workshop import WorkshopHere

_current: ContextVar[Ports] = ContextVar("_current")


_lists: WeakKeyDictionary[StatusStore, LiveStatusLists] = WeakKeyDictionary()


class _StandIn:
    """One of the ports: that of the request at hand."""

    def __init__(self, member: str) -> None:
        self._member = member

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_current.get(), self._member), name)


class _ListsHere(LiveStatusLists):
    """The status lists of the world of the request at hand, made when somebody asks."""

    @override
    async def find(self, ports: Ports, text: str) -> PublishedList:
        return await (await self._of_world()).find(_current.get(), text)

    @override
    async def names(self, ports: Ports) -> list[ListName]:
        return await (await self._of_world()).names(_current.get())

    async def _of_world(self) -> LiveStatusLists:
        ports = _current.get()
        lists = _lists.setdefault(
            ports.state.statuses, LiveStatusLists(ports.revocations, lambda: 0.0)
        )
        await lists.publish(ports)
        return lists


def app_of(ports: Ports) -> ASGIApp:
    """Return the application as if it had been made over these ports."""
    app = _made_for(ports.site.issuer, ports.site.region)

    async def over_ports(scope: Scope, receive: Receive, send: Send) -> None:
        token = _current.set(ports)
        try:
            await app(scope, receive, send)
        finally:
            _current.reset(token)

    return over_ports


@cache
def _made_for(issuer: str, region: str) -> Litestar:
    # What the application reads of the site when it is made depends on its names alone.
    named = Site(issuer=issuer, region=region, rp_id="", rp_name="", origins=(), subject_issuer="")
    ports: Any = Ports(*(_StandIn(member) for member in Ports._fields))
    token = _current.set(ports._replace(site=named))
    try:
        return create_app(
            ports,
            readiness=Readiness({}),
            page_errors=PageErrorRenderer(ports),
            beside=Beside(WorkshopHere(), _ListsHere(known_revocations(), lambda: 0.0)),
        )
    finally:
        _current.reset(token)
