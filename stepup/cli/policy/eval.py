"""`stepup policy eval`: try a policy out on one request, and see why it answers as it does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.operating import operate
from stepup.cli.policy.output import check, say, say_findings
from stepup.cli.policy.source import read_source
from stepup.cli.policy.story import story
from stepup.cli.policy.typed import properties_of
from stepup.cli.settings import load_settings, settings_options
from stepup.cli.times import Moment, Span
from stepup.crypto.sealing import Sealer
from stepup.domain.assurance import Acr, Amr
from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.errors import PolicyInvalidError, StepUpError
from stepup.domain.explanation import Explanation
from stepup.domain.ids import ActionName, DraftId, Subject
from stepup.domain.policy import Policy
from stepup.http.admin.explanation import explanation_document
from stepup.policy_language.findings import Finding, did_you_mean
from stepup.ports import Ports
from stepup.usecases import explain


class _Options(NamedTuple):
    """What was typed, beside the policy."""

    action: ActionName
    subject: str
    subject_type: str
    issuer: str | None
    resource: str
    attributes: Sequence[str]
    authentication: explain.Imagined | None
    now: datetime
    degraded: bool

    def asked_of(self, policy: Policy) -> explain.Asked:
        """Make the question; what type each attribute has, the policy says."""
        properties = properties_of(policy, self.action, self.attributes)
        kind, colon, name = self.resource.partition(":")
        request = DecisionRequest(
            subject_type=self.subject_type,
            subject_id=self.subject,
            action=self.action,
            resource_type=kind if colon else "resource",
            resource_id=name if colon else self.resource,
            subject=properties[Entity.SUBJECT],
            resource=properties[Entity.RESOURCE],
            action_properties=properties[Entity.ACTION],
            context=properties[Entity.CONTEXT],
        )
        return explain.Asked(
            request=request,
            authentication=self.authentication,
            now=self.now,
            degraded=self.degraded,
        )


class _Result(NamedTuple):
    explained: explain.Explained
    policy: Policy
    source: str


@click.command("eval")
@click.argument("action")
@click.option("--subject", required=True, metavar="SUB", help="Whose request it is.")
@click.option(
    "--subject-type", default="user", metavar="TYPE", help="What the subject is.  [default: user]"
)
@click.option("--issuer", metavar="URL", help="Whose subject that is, unless the default one's.")
@click.option("--resource", default="example", metavar="[TYPE:]ID", help="What it is about.")
@click.option(
    "--attr",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    help="An attribute that the action declares; again for each value of a list.",
)
@click.option("--auth-acr", metavar="LEVEL", help="The level of an authentication at hand.")
@click.option("--auth-age", type=Span(), metavar="SPAN", help="How old that is.  [default: 0s]")
@click.option("--auth-amr", multiple=True, metavar="AMR", help="How that was done.")
@click.option("--auth-for-this", is_flag=True, help="It was made for this action and these values.")
@click.option("--at", type=Moment(), metavar="TIME", help="When it is.  [default: now]")
@click.option("--degraded", is_flag=True, help="Imagine that a dependency is away.")
@click.option(
    "--file",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    metavar="FILE|FOLDER|-",
    help="A document, which needs no service.",
)
@click.option("--version", type=int, metavar="N", help="A version, instead of the active one.")
@click.option("--draft", type=int, metavar="N", help="A draft.")
@settings_options
@json_option
def evaluate(
    action: str, config_file: Path | None, sets: Sequence[str], as_json: bool, **given: Any
) -> None:
    """Say what a policy would decide, and why: every attribute, rule, condition and guardrail.

    Nothing comes of it. Without a file the subject's authenticators are looked at too. Exits with
    3 when the document has findings that forbid its use; a test of its own that fails is none.
    """
    file, version, draft = (given.pop(name) for name in ("file", "version", "draft"))
    if sum(each is not None for each in (file, version, draft)) > 1:
        raise click.UsageError("choose one of --file, --version and --draft")
    options = _options(ActionName(action), **given)
    try:
        if file is not None:
            result = _of_file(file, options, as_json=as_json)
        else:
            chosen = explain.Chosen(
                version=version, draft=None if draft is None else DraftId(draft)
            )
            settings = load_settings(config_file, sets)
            result = asyncio.run(operate(settings, _of_service(chosen, options)))
    except PolicyInvalidError as error:
        findings = [finding for finding in error.findings if isinstance(finding, Finding)]
        say_findings("policy", findings, as_json=as_json)
        raise SystemExit(FINDINGS) from None
    except StepUpError as error:
        raise click.ClickException(str(error)) from error
    _answer(result, options, as_json=as_json)


def _options(action: ActionName, at: datetime | None, **given: Any) -> _Options:
    described = {name: given.pop(f"auth_{name}") for name in ("acr", "age", "amr", "for_this")}
    authentication = _imagined(**described)
    return _Options(
        action=action, authentication=authentication, now=at or datetime.now(UTC), **given
    )


def _imagined(
    acr: str | None, age: timedelta | None, amr: Sequence[str], for_this: bool
) -> explain.Imagined | None:
    if acr is None:
        if age is not None or amr or for_this:
            raise click.UsageError("an authentication needs --auth-acr")
        return None
    return explain.Imagined(
        acr=Acr(acr), age=age or timedelta(0), amr=tuple(map(Amr, amr)), for_this=for_this
    )


def _of_file(file: Path, options: _Options, *, as_json: bool) -> _Result:
    source = read_source(file)
    policy = check(source, as_json=as_json, tests=False).policy
    if policy is None:
        raise SystemExit(FINDINGS)
    explanation = explain.explain_by(policy, options.asked_of(policy))
    return _Result(explain.explained(explanation), policy, source.name)


def _of_service(
    chosen: explain.Chosen, options: _Options
) -> Callable[[Ports, Sealer], Awaitable[_Result]]:
    async def task(ports: Ports, _sealer: Sealer) -> _Result:
        text, version = await explain.find_text(ports, chosen)
        policy = explain.read_policy(text, version)
        explanation = explain.explain_by(policy, options.asked_of(policy))
        subject = Subject(options.issuer or ports.site.subject_issuer, options.subject)
        fitness = await explain.authenticators_for(ports, explanation, subject, options.now)
        return _Result(explain.explained(explanation, fitness), policy, _source(chosen, version))

    return task


def _source(chosen: explain.Chosen, version: int) -> str:
    if chosen.draft is not None:
        return f"draft {chosen.draft}"
    return f"version {version}" if chosen.version is not None else f"version {version} (active)"


def _answer(result: _Result, options: _Options, *, as_json: bool) -> None:
    told = explanation_document(result.explained, options.now)
    text = story(told, options.subject, result.source)
    hint = _hint(result.explained.explanation, result.policy)
    say("\n\n".join(filter(None, (text, hint))), msgspec.to_builtins(told), as_json=as_json)


def _hint(explanation: Explanation, policy: Policy) -> str:
    if explanation.is_named:
        return ""
    return f"There is no action `{explanation.action}`{did_you_mean(explanation.action, policy.actions)}"
