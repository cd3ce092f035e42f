"""What a person is asked before anything is sent."""

from __future__ import annotations

import click

from migrator import api
from migrator.cli.output import counted, is_terminal
from migrator.core.errors import UsageError
from migrator.core.styles import STYLES
from migrator.settings import Settings


def expect_somebody(verb: str) -> None:
    """See to it that there is somebody who can be asked.

    Args:
        verb: what they are to be asked about.

    Raises:
        UsageError: there is nobody.
    """
    if not is_terminal():
        raise UsageError("nobody can be asked here", f"add --yes to {verb} without a question")


def ask(draft: api.Draft, settings: Settings, choice: api.Choice | None = None) -> None:
    """Ask whether to send what is planned; a no ends the program."""
    place = (
        f"{counted(draft.containers, 'container')} of sandbox {settings.sandbox}"
        if STYLES[settings.style].needs_container
        else "sandbox " + ", ".join(draft.container_names)
    )
    requests = f"{_which(choice)}{counted(draft.steps, 'request')}"
    click.confirm(f"Send {requests} to {place} at {settings.base_url}?", abort=True, err=True)


def _which(choice: api.Choice | None) -> str:
    """Say which of the requests are sent now, if not all."""
    if choice is None:
        return ""
    most = (
        "those"
        if choice.most is None
        else f"{choice.most:,} at random"
        if choice.at_random
        else f"the first {choice.most:,}"
    )
    named = "" if choice.objects is None else f" for {counted(len(choice.objects), 'id')}"
    return f"{most}{named} of "


def confirm_sandbox(settings: Settings, given: str | None) -> None:
    """See to it that somebody has named the sandbox, if the settings say that it is a production.

    Raises:
        UsageError: nobody has, or another one.
    """
    if not settings.production:
        return
    if given is None and is_terminal():
        prompt = f"{settings.sandbox} is a production sandbox. Type its name to go on"
        given = click.prompt(prompt, err=True, default="", show_default=False)
    if given != settings.sandbox:
        said = f"was named {given!r}" if given else "was not named"
        message = f"this goes to the production sandbox {settings.sandbox!r}, which {said}; nothing was sent"
        raise UsageError(message, f"add --confirm-sandbox {settings.sandbox} if it is meant")
