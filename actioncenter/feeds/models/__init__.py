"""The block list, who pulls it, and who clicked. Import from here."""

from actioncenter.feeds.models.blocks import Block, BlockList
from actioncenter.feeds.models.clicks import Click
from actioncenter.feeds.models.consumers import Consumer, ConsumerError, Progress, progress

__all__ = ["Block", "BlockList", "Click", "Consumer", "ConsumerError", "Progress", "progress"]
