"""What purchase.lua writes down of an order: its record among its user's, and its entry in the ledger."""
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


# --- an entry of the ledger -------------------------------------------------------------------------------

PURCHASE = re.compile(r"([1-9]\d{0,5}) ([!-~]{1,128}) ([0-9a-f]{16}|-) (\d{13}|-)")


def purchase(event, user, quantity=1, digest="", expires=0, carried=None):
    """The fields of a purchase's entry."""
    fields = {event: f"{quantity} {user} {digest or '-'} {expires or '-'}"}
    return {**fields, "carried": carried} if carried else fields


def named(fields):
    """The fields of any entry by name: a purchase has one field for all of them, every other event one each."""
    name = next(iter(fields))
    if name == "event":
        return fields
    parts = PURCHASE.fullmatch(fields[name])
    assert parts and name in ("held", "confirmed") and list(fields)[1:] in ([], ["carried"]), f"no purchase: {fields}"
    quantity, user, key, expires = parts.groups()
    assert (expires == "-") == (name == "confirmed"), f"no purchase: {fields}"
    all_of_it = {"event": name, "user": user, "quantity": quantity, "key": key, "expires_at": expires}
    return {name: value for name, value in all_of_it.items() if value != "-" or name == "user"} | {
        name: fields[name] for name in fields if name == "carried"}


def entries_of(redis, ledger_key):
    """[(entry, its fields by name)] of a ledger."""
    return [(entry, named(fields)) for entry, fields in redis.xrange(ledger_key)]
