"""What the scripts write down of an order: the record of it among its user's, as purchase.lua lays it out."""
import collections
import re

RECORD_BYTES = 60
RECORD = re.compile(r"(.{16})(\d{6})(\d{13})([hcxe])(\d{13}-\d{1,10}) *")

Record = collections.namedtuple("Record", "digest quantity expires state entry")


def record(digest, entry, quantity, expires, state):
    return f"{digest or '0' * 16}{quantity:06d}{int(expires):013d}{state}{entry:24}"


def records_of(text):
    """A user's orders, oldest first."""
    found = []
    for at in range(0, len(text), RECORD_BYTES):
        parts = RECORD.fullmatch(text, at, at + RECORD_BYTES)
        assert parts, f"no record: {text[at:at + RECORD_BYTES]!r}"
        digest, quantity, expires, state, entry = parts.groups()
        found.append(Record(digest, int(quantity), int(expires), state, entry))
    return found
