"""How log lines are written."""

import logging
import re

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class OneLineFormatter(logging.Formatter):
    """One record, one first line: text from outside can't forge a second record. Tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by the base class
        return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", super().formatMessage(record))
