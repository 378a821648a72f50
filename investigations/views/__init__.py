"""Pages of investigations, devices and files. Only they know of actions; the rest of the app doesn't."""

from investigations.views.act import act
from investigations.views.act_on_file import act_on_file
from investigations.views.detail import detail
from investigations.views.device import device
from investigations.views.device_list import devices
from investigations.views.file import file
from investigations.views.lists import listed

__all__ = ["act", "act_on_file", "detail", "device", "devices", "file", "listed"]
