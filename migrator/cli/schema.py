"""`migrator schema`."""

from __future__ import annotations

import json

import click

from migrator.cli.events import schema as schema_of_a_line


@click.command()
def schema() -> int:
    """Print the JSON Schema of the lines that --output json writes.

    Each line has a member `event`, its kind. Later versions may add members and kinds, and take none away.

    \b
    Examples:  migrator schema > migrator-output.schema.json
    Exit codes: 0 always
    """
    click.echo(json.dumps(schema_of_a_line(), indent=2, ensure_ascii=False))
    return 0
