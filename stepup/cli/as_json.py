"""The option that makes a command answer for programs."""

import rich_click as click

json_option = click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
json_array_option = click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
