"""`stepup policy`: which verbs there are."""

import rich_click as click

from stepup.cli.lazy import LazyGroup

# In the order of a document's life.
_COMMANDS = {
    "lint": "stepup.cli.policy.lint:lint",
    "test": "stepup.cli.policy.run_tests:run_tests",
    "fmt": "stepup.cli.policy.fmt:fmt",
    "eval": "stepup.cli.policy.eval:evaluate",
    "schema": "stepup.cli.policy.schema:schema",
    "replay": "stepup.cli.policy.replay:replay",
    "plan": "stepup.cli.policy.plan:plan",
    "apply": "stepup.cli.policy.apply:apply",
    "pull": "stepup.cli.policy.pull:pull",
    "diff": "stepup.cli.policy.diff:diff",
    "rollback": "stepup.cli.policy.rollback:rollback",
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def policy() -> None:
    """Work on policy documents."""
