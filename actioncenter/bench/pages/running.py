import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counting
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from actioncenter.actions.models import Action
from actioncenter.actions.queries import PAGE_SIZE, Listing, Tab, list_counts, page, viewer_of
from actioncenter.bench.asked import Asked
from actioncenter.bench.measuring import NANO_IN_MILLI, CpuClock, Variant, backend_of_django, cost, interleave, percentile
from actioncenter.bench.pages import bare
from actioncenter.bench.pages.draws import Case, Query, address, drawn, usual
from actioncenter.bench.pages.floor import Floor
from actioncenter.bench.pages.naive import expected, shown_on
from actioncenter.bench.population import Filled, fill
from actioncenter.bench.report import Number, Report, Table, ratio
from actioncenter.bench.visiting import Visitor
from actioncenter.live.context import counts_of
from actioncenter.settings.access import scope_for

DEEP: Final = 1_000
DRAWS: Final = 60
SLOW_EVERY: Final = 3
