"""Several gateways on one Redis know how many they are."""
import time

from flashgate.programs import until

LIFETIME_S = 1.0


def alive(gateway):
    return gateway.metric("flashgate_gateways_alive")


def until_all_count(gateways, number):
    until(lambda: all(alive(gateway) == number for gateway in gateways),
          lambda: f"{number} gateways are counted: {[alive(gateway) for gateway in gateways]}")


def test_gateways_count_each_other(stage):
    shared = stage.redis()
    first = stage.gateway(shared)
    until_all_count([first], 1)
    second = stage.gateway(shared)
    until_all_count([first, second], 2)
    third = stage.gateway(shared)
    until_all_count([first, second, third], 3)

    third.kill()  # it is forgotten after a lifetime
    until_all_count([first, second], 2)
    assert second.terminate() == 0  # it leaves
    assert len(shared.client().zrange("fg:gateways", 0, -1)) == 1
    until_all_count([first], 1)


def test_the_last_gateway_leaves_an_empty_roster(stage):
    shared = stage.redis()
    gateway = stage.gateway(shared)
    until_all_count([gateway], 1)
    assert gateway.terminate() == 0
    assert shared.client().zcard("fg:gateways") == 0


def test_without_redis_the_number_stays(stage):
    shared = stage.redis()
    gateways = [stage.gateway(shared), stage.gateway(shared)]
    until_all_count(gateways, 2)
    shared.suspend()
    time.sleep(2 * LIFETIME_S)
    assert [alive(gateway) for gateway in gateways] == [2, 2]
    shared.resume()
    until_all_count(gateways, 2)
