"""Who runs a command: the account of the operating system, as far as the log can know."""

import os
import pwd
from dataclasses import replace

from actioncenter.audit.actor import Actor


def operator(command: str) -> Actor:
    try:
        account = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        account = f"uid {os.getuid()}"
    return replace(Actor.command(command), name=f"{account} (command line, {command})")
