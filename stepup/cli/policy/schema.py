"""`stepup policy schema`: write the JSON Schema of the document."""

import rich_click as click

from stepup.policy_language.json_schema import json_schema_text


@click.command()
def schema() -> None:
    """Write the JSON Schema of policy documents, for editors and pipelines.

    It is what `GET /schemas/policy-v1.json` answers.
    """
    click.echo(json_schema_text(), nl=False)
