"""kill -9 of the relay at every numbered point between reading events, committing them and acknowledging them. Whatever
the point, the next relay delivers every event, and none twice."""
import pytest

from flashgate import native
from flashgate.programs import PRESET, until

pytestmark = pytest.mark.skipif(PRESET != "release", reason="a preloaded library must come before a sanitizer's")


@pytest.fixture
def crashing(stage):
    stage.library = native.compile_here(stage.folder, "crash_at.c", "crash_at.so", "-shared", "-fPIC")
    stage.told = stage.folder / "told"
    stage.gateway(stage.redis())
    return stage


def lives_of_orders(stage, books, name):
    """Orders of all kinds: bought, bought and confirmed, bought and cancelled."""
    gateway = stage.gateways[0]
    for number in range(6):
        answer = stage.shopper(f"{name}-{number}").insists("8801")
        order = answer.json["order"]
        if number % 3:
            verb = "confirm" if number % 3 == 1 else "cancel"
            assert gateway.admin("POST", f"/orders/{order}/{verb}").status == 200


def crash_each(stage, first, last):
    """One relay after the other is killed at points `first` to `last`; the places where they were."""
    places = []
    relay = stage.relay(start=False, lease="200ms", batch=4)
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    for number in range(first, last + 1):
        lives_of_orders(stage, books, f"s{number}")
        relay.extra = {"LD_PRELOAD": str(stage.library), "CRASH_AT": str(number), "CRASH_TOLD": str(stage.told)}
        relay.launch()
        assert relay.wait() == -9, relay.tail()
        places.append(stage.told.read_text().split(" ", 1)[1].strip())
    relay.extra = {}
    relay.start()
    books.check()
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")
    return places


def test_at_the_first_points(crashing):
    places = crash_each(crashing, 1, 64)
    assert {"before COMMIT", "after COMMIT", "after BEGIN IMMEDIATE", "after an answer of Redis"} <= set(places), places


@pytest.mark.full
def test_at_hundreds_of_points(crashing):
    crash_each(crashing, 65, 300)
