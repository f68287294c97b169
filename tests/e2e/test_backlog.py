"""What is sold and not delivered is bounded: at `max_backlog` the gateway stops selling until a relay catches up."""
from flashgate.programs import until

MOST = 20


def backlog(gateway):
    return gateway.metric("flashgate_backlog_events")


def sell_until_full(stage, shopper):
    """Shoppers buy until one is refused; how many orders there are then. The backlog is read once a second."""
    bought = []

    def is_refused():
        answer = shopper(f"s{len(bought)}").buys("8801")
        if answer.is_bought:
            bought.append(answer)
            return False
        assert (answer.status, answer.code) == (503, "queue_full"), answer
        assert answer.retry_after >= 1
        return True
    until(is_refused, "a purchase is refused", pause=0.02)
    return len(bought)


def test_selling_stops_at_max_backlog_and_goes_on_when_a_relay_has_caught_up(stage, shopper):
    gateway = stage.gateway(max_backlog=MOST)
    books = stage.sale({"8801": 10_000, "8802": 10})
    early = shopper("early")
    first = early.buys("8801", key="k")
    assert first.is_bought
    orders = 1 + sell_until_full(stage, shopper)
    assert orders >= MOST - len(books.skus)  # each SKU's ledger begins with the event that opened it
    assert backlog(gateway) >= MOST
    assert gateway.metric("flashgate_backlog_oldest_seconds") > 0

    other = shopper("other").buys("8802")
    assert (other.status, other.code) == (503, "queue_full"), "the backlog is that of all SKUs"
    again = early.buys("8801", key="k")
    assert again.is_replayed and again.body == first.body

    stage.relay()
    until(lambda: backlog(gateway) == 0, lambda: f"the backlog drains: {backlog(gateway)}")
    assert gateway.metric("flashgate_backlog_oldest_seconds") == 0
    until(lambda: shopper("late").buys("8802").is_bought, "selling goes on")
    books.check()


def test_what_a_relay_keeps_up_with_never_stops_the_sale(stage, shopper):
    gateway = stage.gateway(max_backlog=MOST)
    relay = stage.relay()
    books = stage.sale({"8801": 1000})
    for i in range(3 * MOST):
        assert shopper(f"s{i}").buys("8801").is_bought
        if i % (MOST // 2) == 0:
            books.await_acknowledged()
    assert relay.is_running
    until(lambda: backlog(gateway) == 0, lambda: f"nothing waits: {backlog(gateway)}")
    books.check()
