"""Pages of investigations, devices, files, mailboxes and messages. Only they know of actions; the rest of the app doesn't."""

from investigations.views.act import act
from investigations.views.act_on_file import act_on_file
from investigations.views.act_on_mail import act_on_mailbox, act_on_message
from investigations.views.detail import detail
from investigations.views.device import device
from investigations.views.device_list import devices
from investigations.views.file import file
from investigations.views.lists import listed
from investigations.views.mailbox import mailbox
from investigations.views.message import message

__all__ = [
    "act", "act_on_file", "act_on_mailbox", "act_on_message", "detail", "device", "devices", "file", "listed", "mailbox",
    "message",
]  # fmt: skip
