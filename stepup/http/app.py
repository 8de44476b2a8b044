"""The application: every route, what routes are given, and what surrounds them all."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide

from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.freshness import Freshness
from stepup.http import (
    account_enroll,
    account_pages,
    account_recovery,
    account_session,
    assets,
    authorize,
    challenge_pages,
    challenges,
    dev,
    health,
    openapi,
    schemas,
    status_lists,
    step_ups,
    well_known,
)
from stepup.http.admin import (
    authenticators,
    clients,
    decisions,
    explain,
    policy,
    policy_drafts,
    policy_moves,
    replay,
    revocations,
    shadow,
)
from stepup.http.admin.gate import provide_administrator
from stepup.http.authzen import evaluation, evaluations, search
from stepup.http.caller import provide_caller, provide_form, provide_form_caller
from stepup.http.direct import DirectRoutes
from stepup.http.error_forms import ErrorForms, PageErrors
from stepup.http.head import HeadRoutes
from stepup.http.health import Readiness
from stepup.http.middleware import Edge
from stepup.http.oauth import consume, introspect, par, revoke, token, userinfo
from stepup.http.proofs import provide_proof, provide_shown_token
from stepup.http.signals import configuration as signal_configuration
from stepup.http.signals import polling as signal_polling
from stepup.http.signals import receiving as signal_receiving
from stepup.http.signals import streams as signal_streams
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases.status_lists import LiveStatusLists

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

ROUTERS: tuple[Router, ...] = (
    well_known.router,
    status_lists.router,
    health.router,
    openapi.router,
    schemas.router,
    evaluation.router,
    evaluations.router,
    search.router,
    step_ups.router,
    challenges.router,
    par.router,
    authorize.router,
    token.router,
    userinfo.router,
    introspect.router,
    revoke.router,
    consume.router,
    challenge_pages.router,
    account_session.router,
    account_pages.router,
    account_enroll.router,
    account_recovery.router,
    assets.router,
    authenticators.router,
    clients.router,
    policy.router,
    policy_drafts.router,
    policy_moves.router,
    decisions.router,
    replay.router,
    revocations.router,
    shadow.router,
    explain.router,
    explain.recorded_router,
    signal_configuration.router,
    signal_streams.router,
    signal_polling.router,
    signal_receiving.router,
    dev.router,
)
"""Every part of the interface; a new file of routes adds its router here."""


class Beside(NamedTuple):
    """What works beside the requests: where documents are tried out, and the status lists."""

    workshop: Workshop | None = None
    lists: LiveStatusLists | None = None


def create_app(
    ports: Ports,
    *,
    readiness: Readiness,
    routers: Sequence[Router] = ROUTERS,
    page_errors: PageErrors | None = None,
    beside: Beside | None = None,
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """Make the application over some ports; nothing is opened before it starts.

    `page_errors` draws errors for browsers, what is `beside` does what no request can do, and `lifespan` runs while the application does.
    """
    given = beside or Beside()

    def provide_ports() -> Ports:
        return ports

    def provide_readiness() -> Readiness:
        return readiness

    def provide_workshop() -> Workshop:
        if given.workshop is None:
            raise DependencyUnavailableError
        return given.workshop

    def provide_status_lists() -> LiveStatusLists:
        if given.lists is None:
            raise DependencyUnavailableError
        return given.lists

    errors = ErrorForms(page_errors)
    app = Litestar(
        route_handlers=list(routers),
        dependencies={
            "ports": Provide(provide_ports, sync_to_thread=False, use_cache=True),
            "readiness": Provide(provide_readiness, sync_to_thread=False, use_cache=True),
            "workshop": Provide(provide_workshop, sync_to_thread=False),
            "status_lists": Provide(provide_status_lists, sync_to_thread=False),
            "caller": Provide(provide_caller),
            "administrator": Provide(provide_administrator),
            "form": Provide(provide_form),
            "form_caller": Provide(provide_form_caller),
            "proof": Provide(provide_proof),
            "shown_token": Provide(provide_shown_token),
        },
        # For guards, which are given no dependencies.
        state=State({"ports": ports}),
        exception_handlers={Exception: errors},
        # The stores are open before they are asked how they are.
        lifespan=[*lifespan, readiness.watch],
        openapi_config=openapi.openapi_config(ports.site),
        # Ours is smaller, can be raised by a route, and answers in the right form.
        request_max_body_size=None,
        # Errors are logged once, where they get their form.
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    # Litestar's own middleware runs behind its router, where an unknown path never arrives.
    app.asgi_handler = Edge(
        HeadRoutes(DirectRoutes(app, app.asgi_handler, ports, errors)),
        entropy=ports.entropy,
        secure=ports.site.secure,
        is_closing=lambda: readiness.is_closing,
        is_degraded=lambda: ports.snapshot.freshness is Freshness.STALE,
    )
    return app
