"""The values of a step-up by redirect: what is asked, what is kept meanwhile, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Literal

from stepup.sdk.errors import CallbackError
from stepup.sdk.pkce import Pkce, new_state

Outcome = Literal["allow", "step_up", "deny"]
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  a name of RFC 8693, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """What somebody wants to do, in the entities of AuthZEN 1.0 section 5.

    `properties` are the action's own, such as amount and payee. `issuer` names the identity
    provider that `subject` belongs to, when it is not the one this client is registered with.
    """

    action: str
    subject: str
    properties: Mapping[str, object] = field(default_factory=dict)
    resource_type: str = "service"
    resource_id: str = "-"
    resource: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)
    issuer: str | None = None

    def document(self) -> dict[str, object]:
        """Return the body of an evaluation request."""
        subject: dict[str, object] = {"type": "user", "id": self.subject}
        if self.issuer is not None:
            subject["properties"] = {"issuer": self.issuer}
        resource: dict[str, object] = {"type": self.resource_type, "id": self.resource_id}
        if self.resource:
            resource["properties"] = dict(self.resource)
        document: dict[str, object] = {
            "subject": subject,
            "action": {"name": self.action, "properties": dict(self.properties)},
            "resource": resource,
        }
        if self.context:
            document["context"] = dict(self.context)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to "may this go on as it is?", for hints in a user interface.

    A decision is no proof: whoever does the action verifies a token.
    """

    outcome: Outcome
    level: str | None = None
    max_age: int | None = None
    methods: tuple[str, ...] = ()
    reason: str | None = None
    rule: str | None = None
    policy_version: int | None = None
    ticket: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What the application keeps on its side, in the user's session, until the browser is back."""

    state: str = field(default_factory=new_state, repr=False)
    pkce: Pkce = field(default_factory=Pkce.generate, repr=False)
    redirect_uri: str

    def code_from(self, callback: Mapping[str, str], issuer: str) -> str:
        """Return the code of a callback's query, once it is certain that it answers this request.

        Raises:
            CallbackError: If the user cancelled, or the answer belongs to something else.
        """
        # An empty member must not pass for an absent one, nor a foreign answer tell us anything.
        if not compare_digest(callback.get("state", "").encode(), self.state.encode()):
            raise CallbackError("invalid_state", "the answer belongs to another request")
        if callback.get("iss") != issuer:
            raise CallbackError("invalid_issuer", "the answer is from another issuer (RFC 9207)")
        if "error" in callback:
            raise CallbackError(callback["error"], callback.get("error_description"))
        code = callback.get("code", "")
        if not code:
            raise CallbackError("invalid_request", "the answer has no code")
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """How a step-up begins: go ahead, send the browser to `authorization_url`, or stop."""

    outcome: Outcome
    reason: str | None = None
    authorization_url: str | None = None
    pending: Pending | None = field(default=None, repr=False)
    expires_in: int | None = None
    level: str | None = None
    max_age: int | None = None
    methods: tuple[str, ...] = ()
