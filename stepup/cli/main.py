"""The command line: which commands there are; each is imported when it is called for."""

import rich_click as click

import stepup as package
from stepup.cli.lazy import LazyGroup

# In the order in which one meets them. `stepup --help` imports them all, a command only itself.
_COMMANDS = {
    "dev": "stepup.cli.dev:dev",
    "demo": "stepup.cli.demo:demo",
    "serve": "stepup.cli.serve:serve",
    "doctor": "stepup.cli.doctor:doctor",
    "config": "stepup.cli.config:config",
    "db": "stepup.cli.db:db",
    "policy": "stepup.cli.policy.commands:policy",
    "client": "stepup.cli.client:client",
    "revocation": "stepup.cli.revocation:revocation",
    "signals": "stepup.cli.signals:signals",
    "admin": "stepup.cli.admin.commands:admin",
    "keys": "stepup.cli.keys:keys",
    "audit": "stepup.cli.audit:audit",
    "redis": "stepup.cli.redis:redis",
    "cluster": "stepup.cli.cluster.commands:cluster",
}


@click.group(
    cls=LazyGroup, commands_at=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package.__version__, prog_name="stepup")
def stepup() -> None:
    """Step-up authentication beside any identity provider: decide, challenge, verify, grant."""
