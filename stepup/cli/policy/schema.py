"""`stepup policy schema`: write the JSON Schema of the document."""

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.policy_language.json_schema import json_schema_text


@click.command()
@json_option
def schema(*, as_json: bool) -> None:
    """Write the JSON Schema of policy documents, for editors and pipelines.

    It is what `GET /schemas/policy-v1.json` answers. With `--json` nothing changes: it is JSON.
    """
    del as_json
    click.echo(json_schema_text(), nl=False)
