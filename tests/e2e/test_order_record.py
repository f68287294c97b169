"""What a shopper sends along with an order: it arrives byte for byte, or sealed; and nobody but who has the key reads it."""
import base64
import json
import os
import sqlite3

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flashgate.programs import ROOT, run, until
from flashgate.servers import Gateway

SECRET = "Rynok Square 1, Lviv"
# Its bytes are not what a JSON library would write: order, spaces, escapes, numbers.
SECTIONS = {
    "channel": '{ "version":7.20, "app" : "i\\u004fs","n":1e2 }',
    "marketing": '{"campaign":{"id":"€-18","path":[[],{}]}}',
    "shipping": '{"name":"A. Shopper","address":"%s"}' % SECRET,
    "extension": '{"gift":true,"note":null,"k":-0.0}',
}


def body(sections, sku="8801", quantity=1):
    members = [f'"{name}":{text}' for name, text in sections.items()]
    return ("{" + ", ".join([f'"sku":"{sku}"', *members, f'"quantity":{quantity}']) + "}").encode()


def sends(gateway, user, content, key="k"):
    headers = {"X-User-Id": user, "Content-Type": "application/json", "Idempotency-Key": key}
    return gateway.asks("POST", "/v1/sales/demo/orders", headers, content)


def put_key(folder, key, digits=None, mode=0o600):
    folder.mkdir(exist_ok=True, mode=0o700)
    file = folder / f"{key}.key"
    file.write_text((os.urandom(32).hex() if digits is None else digits) + "\n")
    file.chmod(mode)
    return file


def unseal(folder, section, sealed, user, sku="8801", sale="demo"):
    """With another library than the gateway's."""
    secret = bytes.fromhex((folder / f"{sealed['key']}.key").read_text().strip())
    part = {name: base64.b64decode(sealed[name], validate=True) for name in ("nonce", "text", "tag")}
    place = "\0".join([sale, sku, user, section]).encode()
    return AESGCM(secret).decrypt(part["nonce"], part["text"] + part["tag"], place).decode()


def carried(books, user, sku="8801"):
    """The carried text of the user's orders, as the ledger has it."""
    return [fields.get("carried") for _, fields in books.stock(sku).ledger if fields.get("user") == user]


def test_what_a_shopper_sends_along_is_in_the_ledger_byte_for_byte(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 10})
    backwards = dict(reversed(SECTIONS.items()))
    assert sends(gateway, "ann", body(backwards)).status == 201
    assert sends(gateway, "bob", body({"channel": "{}"})).status == 201
    assert shopper("cid").buys("8801").status == 201
    assert carried(books, "ann") == ["{" + ",".join(f'"{name}":{text}' for name, text in SECTIONS.items()) + "}"]
    assert carried(books, "bob") == ['{"channel":{}}']
    assert carried(books, "cid") == [None]
    until(lambda: gateway.metric("flashgate_carried_orders") == 0, "every block is back")


def test_a_replay_is_the_first_answer_and_what_it_brings_is_dropped(stage):
    gateway = stage.gateway()
    books = stage.sale({"8801": 10}, hold="15m")
    first = sends(gateway, "ann", body(SECTIONS))
    again = sends(gateway, "ann", body({"channel": '{"another":1}'}))
    assert (first.status, again.status) == (201, 200) and again.body == first.body
    assert len(carried(books, "ann")) == 1 and "another" not in carried(books, "ann")[0]
    gateway.pauses()  # a look-up carries nothing
    assert sends(gateway, "ann", body(SECTIONS)).body == first.body
    assert sends(gateway, "bob", body(SECTIONS)).code == "paused"
    assert carried(books, "bob") == []


LARGE = '{"a":"%s"}' % ("x" * 2041)
REFUSED = {
    "shipping too large": ({"shipping": LARGE}, 413, "payload_too_large", ['"shipping" with 2049', "2048"]),
    "too large together": ({"channel": LARGE[:-9] + '"}', "marketing": "{}", "extension": '{"a":1}'}, 413,
                           "payload_too_large", ["2051 bytes", '"channel" with 2042', "2048"]),
    "too deep": ({"marketing": '{"a":' * 9 + "1" + "}" * 9}, 400, "bad_request", ['"marketing"', "deeper than 8"]),
    "1000 deep": ({"marketing": '{"a":' * 1000 + "1" + "}" * 1000}, 400, "bad_request", ['"marketing"', "deeper than 8"]),
    "a name twice": ({"shipping": '{"city":"a","city":"b"}'}, 400, "bad_request", ['"shipping"', "duplicate"]),
    "a name twice, deep inside": ({"channel": '{"a":[{"b":1,"b":1}]}'}, 400, "bad_request", ['"channel"', "duplicate"]),
    "not an object": ({"channel": '"ios"'}, 400, "bad_request", ['"channel"', "not a JSON object"]),
    "a list as a value": ({"extension": '{"a":[1]}'}, 400, "bad_request", ['"extension"', "array"]),
    "33 values": ({"extension": json.dumps({f"k{i}": i for i in range(33)})}, 400, "bad_request",
                  ['"extension"', "more than 32"]),
    "another section": ({"finance": "{}"}, 400, "bad_request", ["unknown member", '"shipping"']),
    "no UTF-8": ({"channel": '{"a":"\udcff"}'}, 400, "bad_request", ["not valid JSON at byte"]),
}


@pytest.mark.sanitize
def test_what_cannot_be_carried_is_refused_by_name_and_bound(stage):
    gateway = stage.gateway()
    books = stage.sale({"8801": 10})
    wrong = []
    for name, (sections, status, code, words) in REFUSED.items():
        content = "{" + ", ".join(['"sku":"8801"', *(f'"{n}":{t}' for n, t in sections.items()), '"quantity":1']) + "}"
        answer = sends(gateway, "ann", content.encode(errors="surrogateescape"))
        if (answer.status, answer.code) != (status, code) or not all(word in answer.detail for word in words):
            wrong.append(f"{name}: {answer} {answer.detail}")
    assert not wrong, "\n".join(wrong)
    assert books.stock("8801").sold == 0
    assert sends(gateway, "ann", body({"channel": LARGE[:-3] + '"}'})).status == 201  # 2048


def test_a_megabyte_is_refused_and_costs_no_memory(stage):
    gateway = stage.gateway(http={"body_size": "1MiB"})
    stage.sale({"8801": 10})

    def resident():
        with open(f"/proc/{gateway.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))  # KiB
    sends(gateway, "ann", body(SECTIONS))
    before = resident()
    bombs = [body({"shipping": '{"a":"%s"}' % ("x" * 1_000_000)}), body({"shipping": '{"a":[%s1]}' % ("1," * 490_000)}),
             body({"marketing": '{"a":' * 170_000 + "1" + "}" * 170_000}),
             ('{"sku":"8801","quantity":1' + ',"channel":{}' * 70_000 + "}").encode()]
    for bomb in bombs:
        answer = sends(gateway, "bob", bomb)
        assert answer.status in (400, 413) and ("shipping" in answer.detail or "marketing" in answer.detail
                                                or "channel" in answer.detail), (answer, answer.detail)
    # The bodies themselves are read into memory, one at a time and worker; nothing is built of them.
    assert resident() - before < 8 * 1024


# --- sealed ------------------------------------------------------------------------------------------------


def files_of(folder):
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith((".log", ".key"))]


def test_sealed_sections_are_nowhere_in_plain_text_and_open_with_the_key(stage):
    keys = stage.folder / "keys"
    put_key(keys, "2027-06")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "2027-06"})
    relay = stage.relay()
    books = stage.sale({"8801": 10})
    assert sends(gateway, "ann", body(SECTIONS)).status == 201
    assert sends(gateway, "bob", body(SECTIONS)).status == 201
    books.await_delivery()
    there = [json.loads(carried(books, user)[0]) for user in ("ann", "bob")]
    for user, sections in zip(("ann", "bob"), there):
        assert list(sections) == list(SECTIONS)
        assert sections["channel"] == json.loads(SECTIONS["channel"]), "named ones only"
        for name in ("shipping", "extension"):
            assert sections[name]["sealed"] == "A256GCM" and sections[name]["key"] == "2027-06"
            assert unseal(keys, name, sections[name], user) == SECTIONS[name]
        with pytest.raises(InvalidTag):
            unseal(keys, "shipping", sections["extension"], user)
    with pytest.raises(InvalidTag):
        unseal(keys, "shipping", there[0]["shipping"], "bob")
    assert there[0]["shipping"]["nonce"] != there[1]["shipping"]["nonce"]
    searched = files_of(gateway.folder) + files_of(relay.folder)
    assert any("appendonly" in str(file) for file in searched) and relay.database in searched
    for file in searched:
        assert SECRET.encode() not in file.read_bytes(), file
    assert any(there[0]["shipping"]["text"].encode() in file.read_bytes() for file in searched), "the search finds"


def test_the_record_in_the_database_is_as_the_schema_says(stage):
    keys = stage.folder / "keys"
    put_key(keys, "a")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "a", "sections": ["shipping"]})
    relay = stage.relay()
    books = stage.sale({"8801": 10}, hold="15m")
    order = sends(gateway, "ann", body(SECTIONS)).json["order"]
    books.await_delivery()
    with sqlite3.connect(f"file:{relay.database}?mode=ro", uri=True) as database:
        (text,), = database.execute("SELECT record FROM events WHERE order_id = ?", (order,)).fetchall()
    record, schema = json.loads(text), json.loads((ROOT / "docs" / "order-record.schema.json").read_text())
    assert set(record) == set(schema["required"]) == set(schema["properties"])
    for name, section in schema["properties"].items():
        if section.get("type") == "object":
            assert set(section.get("required", [])) <= set(record[name]), name
            assert section.get("additionalProperties", True) or set(record[name]) <= set(section["properties"]), name
    assert record["version"] == schema["properties"]["version"]["const"]
    assert (record["main"]["order"], record["main"]["user"], record["main"]["status"]) == (order, "ann", "held")
    assert set(record["shipping"]) == set(schema["$defs"]["sealed"]["required"])
    assert unseal(keys, "shipping", record["shipping"], "ann") == SECTIONS["shipping"]
    for name in ("channel", "marketing", "extension"):
        assert f'"{name}":{SECTIONS[name]}' in text, "byte for byte"


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_new_key_seals_and_the_old_one_still_opens(stage, how):
    keys = stage.folder / "keys"
    put_key(keys, "old")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "old"})
    books = stage.sale({"8801": 10})
    assert sends(gateway, "ann", body(SECTIONS)).status == 201
    put_key(keys, "new")
    changed = {"keys": str(keys), "key": "new"}
    if how == "reload":
        changes = gateway.reloads(encryption=changed)
        assert changes == ["encryption.key: old → new"]
    else:
        gateway.terminate()
        gateway.configure(encryption=changed).start()
        stage.catch_up()
    assert sends(gateway, "bob", body(SECTIONS)).status == 201
    for user, key in (("ann", "old"), ("bob", "new")):
        section = json.loads(carried(books, user)[0])["shipping"]
        assert section["key"] == key
        assert unseal(keys, "shipping", section, user) == SECTIONS["shipping"]


def test_encryption_can_be_switched_on_and_off_while_it_runs(stage):
    keys = stage.folder / "keys"
    put_key(keys, "a")
    gateway = stage.gateway()
    books = stage.sale({"8801": 10})
    gateway.reloads(encryption={"keys": str(keys), "key": "a", "sections": ["marketing"]})
    assert sends(gateway, "ann", body(SECTIONS)).status == 201
    sealed = json.loads(carried(books, "ann")[0])
    assert unseal(keys, "marketing", sealed["marketing"], "ann") == SECTIONS["marketing"]
    assert sealed["shipping"] == json.loads(SECTIONS["shipping"])
    del gateway.config["encryption"]
    gateway.reloads()
    assert sends(gateway, "bob", body(SECTIONS)).status == 201
    assert SECRET in carried(books, "bob")[0]


def test_support_opens_a_record_with_the_keys(stage):
    keys, none = stage.folder / "keys", stage.folder / "none"
    put_key(keys, "a")
    put_key(none, "b")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "a"})
    stage.relay()
    books = stage.sale({"8801": 10})
    order = sends(gateway, "ann", body(SECTIONS)).json["order"]
    books.await_delivery()

    def shows(*flags):
        return run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", *flags)
    sealed = shows("order", "show", order)
    assert sealed.returncode == 0 and "A256GCM" in sealed.stdout and SECRET not in sealed.stdout
    opened = shows("order", "show", order, "--decrypt", "--keys", keys)
    assert opened.returncode == 0 and SECRET in opened.stdout and "A256GCM" not in opened.stdout, opened
    document = json.loads(shows("--json", "order", "show", order, "--decrypt", "--keys", keys).stdout)
    assert {name: document["relay"]["record"][name] for name in SECTIONS} == {
        name: json.loads(text) for name, text in SECTIONS.items()}
    other = shows("order", "show", order, "--decrypt", "--keys", none)
    assert other.returncode == 1 and 'no key "a"' in other.stderr and SECRET not in other.stdout
    assert "A256GCM" in other.stdout, "what is known is shown all the same"
    for flags in (["--decrypt"], ["--keys", keys]):
        half = shows("order", "show", order, *flags)
        assert half.returncode == 2 and "go together" in half.stderr
    (keys / "a.key").chmod(0o644)
    bad = shows("order", "show", order, "--decrypt", "--keys", keys)
    assert bad.returncode == 2 and "mode 0644" in bad.stderr


# --- keys that are not good ----------------------------------------------------------------------------------

GOOD = "ab" * 32
BAD_KEYS = {
    "missing": (lambda keys: put_key(keys, "other", GOOD), ["a.key", "to seal with"]),
    "no folder": (lambda keys: None, ["No such file"]),
    "no keys": (lambda keys: keys.mkdir(), ["no keys there"]),
    "short": (lambda keys: put_key(keys, "a", GOOD[:-2]), ["a.key", "fewer than 64"]),
    "long": (lambda keys: put_key(keys, "a", GOOD + "00"), ["a.key", "more than 64"]),
    "odd characters": (lambda keys: put_key(keys, "a", "zz" * 32), ["a.key", "character 1"]),
    "readable by all": (lambda keys: put_key(keys, "a", GOOD, 0o644), ["a.key", "mode 0644", "0600"]),
    "another one readable by all": (lambda keys: (put_key(keys, "a", GOOD), put_key(keys, "b", GOOD, 0o640)),
                                    ["b.key", "mode 0640"]),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("bad", BAD_KEYS)
def test_bad_keys_refuse_the_start_and_say_which(stage, bad):
    make, words = BAD_KEYS[bad]
    keys = stage.folder / "keys"
    make(keys)
    gateway = stage.gateway(start=False, encryption={"keys": str(keys), "key": "a"})
    code, said = gateway.ends_by_itself()
    assert code == 2, said
    assert "flashgate.yaml:" in said and str(keys) in said and all(word in said for word in words), said
    assert run("flashgate", "--check", "-c", gateway.file).returncode == 2


def test_bad_keys_refuse_a_reload_and_the_old_ones_go_on(stage):
    keys = stage.folder / "keys"
    put_key(keys, "a")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "a"})
    books = stage.sale({"8801": 10})
    put_key(keys, "b", mode=0o604)
    gateway.rewrites(encryption={"keys": str(keys), "key": "b"})
    answer = gateway.admin("POST", "/config/reload")
    assert answer.status in (400, 409, 422) and "mode 0604" in answer.detail, (answer, answer.detail)
    assert sends(gateway, "ann", body(SECTIONS)).status == 201
    assert json.loads(carried(books, "ann")[0])["shipping"]["key"] == "a"


def test_a_section_that_is_none_is_refused(stage):
    gateway = Gateway(stage.folder / "g", encryption={"keys": "keys", "key": "a", "sections": ["finance"]})
    stage.program(gateway)
    code, said = gateway.ends_by_itself()
    assert code == 2 and "finance" in said and "shipping" in said
