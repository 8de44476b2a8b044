"""A replay's report as people read it."""

from collections.abc import Iterable, Iterator, Mapping

from stepup.domain.replay import Answered, Example
from stepup.domain.replay_report import ActionReport, FlowReport, ReplayReport

# What fits on a screen; `--json` has all of it.
_MOST_LINES = 20
_DEFAULT = "the default"


def explain_replay(name: str, report: ReplayReport) -> str:
    """Write a report: the most important sentence first, then actions, rules and examples."""
    return "\n".join(_lines(name, report))


def _lines(name: str, report: ReplayReport) -> Iterator[str]:
    if not report.recorded:
        yield f"{name}: no decisions were recorded in that time"
        return
    yield f"{name} against version {report.active_version}: {_summary(report)}"
    yield f"  {_people(report)}"
    yield f"  {_basis(report)}"
    if report.drifted:
        said = "were answered otherwise at the time, by what was in force then"
        yield f"  {report.drifted:,} decisions {said}"
    yield from _section("actions", map(_action, (a for a in report.actions if a.changed)))
    yield from _section("rules", map(_flow, report.rules))
    yield from _section(
        "undecidable, for want of what the record does not show",
        (f"{u.action}: {u.attribute}, {u.decisions:,} decisions" for u in report.undecidable_for),
    )
    yield from _section("examples", map(_example, report.examples))
    yield from _section(
        "examples of who has nothing to pass with", map(_example, report.cannot_pass_examples)
    )


def _summary(report: ReplayReport) -> str:
    if not report.changed:
        return "nothing would have been another answer"
    return (
        f"would have prompted {_share(report.prompts_after, report.decisions)} of the calls, "
        f"{_share(report.prompts_before, report.decisions)} are prompted now; "
        f"{report.changed:,} of {report.decisions:,} decisions change"
    )


def _people(report: ReplayReport) -> str:
    people = report.subjects
    counts = {
        "are newly prompted": people.newly_prompted,
        "are prompted more often": people.prompted_more_often,
        "less often": people.prompted_less_often,
        "no longer": people.no_longer_prompted,
        "must enroll first": people.must_enroll,
        "have no authenticator for it": people.cannot_pass,
        "could not be looked up": people.not_known,
    }
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"of {people.seen:,} subjects " + (", ".join(told) or "none is asked for more")


def _basis(report: ReplayReport) -> str:
    since, until = (f"{at:%Y-%m-%d %H:%M}" if at else "?" for at in (report.since, report.until))
    some = "" if report.is_complete else ", and there are older ones"
    return f"{report.recorded:,} records from {since} to {until} UTC{some}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    if every:
        yield ""
        yield f"{title}:"
        yield from (f"  {line}" for line in every[:_MOST_LINES])
    if len(every) > _MOST_LINES:
        yield f"  and {len(every) - _MOST_LINES} more"


def _action(action: ActionReport) -> str:
    parts = [f"{action.action}: {action.changed:,} of {action.decisions:,} decisions"]
    parts.append(_counts({str(kind): count for kind, count in action.differences.items()}))
    for verb, counted in (("raised", action.raised), ("lowered", action.lowered)):
        if counted:
            parts.append(f"{verb}: {_counts({str(part): n for part, n in counted.items()})}")
    return "; ".join(parts)


def _flow(flow: FlowReport) -> str:
    what = _words(flow.difference) if flow.difference else "the same answer"
    before, after = flow.before or _DEFAULT, flow.after or _DEFAULT
    moved = before if before == after else f"{before} -> {after}"
    return f"{flow.action}: {moved}, {what}, {flow.decisions:,} decisions"


def _example(example: Example) -> str:
    change = f"{_answer(example.before)} -> {_answer(example.after)}"
    return f"{example.id} {example.at:%Y-%m-%d %H:%M:%S} {example.action}: {change}"


def _answer(answered: Answered) -> str:
    told = [each for each in (answered.acr, answered.rule) if each]
    return answered.outcome + (f" ({', '.join(told)})" if told else "")


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{_words(what)} {count:,}" for what, count in counted.items())


def _words(kind: str) -> str:
    return kind.replace("_to_", " -> ").replace("_", " ")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
