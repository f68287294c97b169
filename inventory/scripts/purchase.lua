-- purchase.lua - one batch of purchases and look-ups of one bucket; the only place where a unit is sold.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch expected, deadline (ms of Redis's clock), one cmsgpack array {user, digest, quantity, ...},
--       the newest ledger entry the caller knows of, or '' (a ledger without it has lost orders),
--       left out if no item has any: one cmsgpack map {number of the item, what its order carries}
--       user: visible ASCII without spaces, for which the caller answers
--       digest: 16 hex digits of the Idempotency-Key, or '' without one
--       quantity: to buy; negative: only look whether an order of that many is there, never buy
-- Reply [now ms, free, state, last ledger id, expires, answer, answer, ...]; free is -1 where it is not known
--       state: open paused ended not_started frozen late
--       expires: when what this call bought runs out, in ms; 0: never
--       answer: 'ENTRY' bought, '=ENTRY EXPIRES STATE' the order that was there (EXPIRES 0: none), or a
--       refusal's word; limit_reached is followed by the caller's entries
--
-- Pass 1 decides every item and writes nothing; pass 2 writes the ledger, then the users' records, then the
-- counters. Invariant: whatever can fail is checked in pass 1, because Redis does not take back what a
-- script wrote before it failed. An item sees what the items before it in the batch bought.
-- A record: digest 16 | quantity 6 | expires ms 13 | state h c x e | entry, padded with spaces to 24.
-- Its ledger entry: held or confirmed, 'QUANTITY USER KEY EXPIRES', and, if there is any, carried, what it carries;
-- KEY is its digest, or '-'; EXPIRES is in ms, or '-' (confirmed at once). Every other entry begins with `event`.
-- In both an item's own parts stand side by side, and what all of a batch share is made once.
--
-- This is the critical path. Hence no table and no call for a user's first order but the ledger's append;
-- numbers are turned into text once (redis.call prints a number as %.17g, which costs as much as half an
-- append; `..` would make 1.79e+12 of the time); and functions take what they need as arguments, because
-- every local they captured would be allocated anew for every batch, a tenth of the time of a lone one.

local stock_key, buyers_key, orders_key = KEYS[1], KEYS[2], KEYS[3]
local call, try = redis.call, redis.pcall
local find, format, type = string.find, string.format, type

local ITEMS_MAX = 128
local RECORD_BYTES, RECORDS_MAX, ENTRY_BYTES = 60, 8, 24
local USER_BYTES_MAX = 128
local PER_USER_MAX = 999999 -- the width of a record's quantity
local NUMBER_MAX = 1e15 -- below 2^53 with room: counters stay exact
local KEY_WINDOW_MS = 86400000
local ENTRIES_A_UNIT, ENTRIES_LEAST = 16, 100000
local CARRIED_BYTES_MAX = 4096
local NO_KEY, NEVER = '0000000000000000', '0000000000000'

local items, surplus = cmsgpack.unpack(ARGV[3])
local deadline = tonumber(ARGV[2])
if type(items) ~= 'table' or surplus ~= nil or not deadline then
    return redis.error_reply('BADBATCH bad arguments')
end
local size = #items
if size % 3 ~= 0 or size > ITEMS_MAX * 3 then return redis.error_reply('BADBATCH bad number of items') end

local time = call('TIME')
local now = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
if now >= deadline then return {now, -1, 'late', '', 0} end

-- Check the items; slots[k] is the first item of a user who has another before item k, nil where nobody comes
-- twice. Comparing asks for strings and numbers: with anything else the script ends here with an error.
local users, first_of, slots = {'HMGET', buyers_key, ''}, {}, nil
local count = 0
for i = 1, size, 3 do
    local user, digest, quantity = items[i], items[i + 1], items[i + 2]
    if user <= '' or #user > USER_BYTES_MAX or (digest > '' and (#digest ~= 16 or digest == NO_KEY))
        or quantity < -NUMBER_MAX then
        return redis.error_reply('BADBATCH bad item')
    end
    count = count + 1
    users[count + 3] = user
    local first = first_of[user]
    if first then
        slots = slots or {}
        slots[count] = first
    else
        first_of[user] = count
    end
end

local carried = ARGV[5] and cmsgpack.unpack(ARGV[5])
if carried then
    if type(carried) ~= 'table' then return redis.error_reply('BADBATCH bad carried texts') end
    for k, text in pairs(carried) do
        if type(k) ~= 'number' or k < 1 or k > count or k % 1 ~= 0 or type(text) ~= 'string' or text == ''
            or #text > CARRIED_BYTES_MAX then
            return redis.error_reply('BADBATCH bad carried text')
        end
    end
end

-- The books of the bucket: missing, differing, inconsistent or of a wrong type means closed, never zero.
local stock = try('HMGET', stock_key, 'epoch', 'state', 'total', 'free', 'held', 'sold', 'opens', 'closes',
    'per_user', 'hold', 'max_ledger_entries')
local texts = try(unpack(users)) -- the sentinel, then the records of item k at k + 1
local ledger_length = try('XLEN', orders_key)
local epoch = ARGV[1]

local state, free, held, sold, opens, closes, per_user, hold, ledger_max
if not stock.err and not texts.err and ledger_length ~= 0 and type(ledger_length) == 'number' and stock[1] == epoch
    and texts[1] == epoch and stock[3] and stock[4] and stock[5] and stock[6] and stock[7] and stock[8] and stock[9]
    and stock[10] then
    local numbers = ' ' .. stock[3] .. ' ' .. stock[4] .. ' ' .. stock[5] .. ' ' .. stock[6] .. ' ' .. stock[7] .. ' '
        .. stock[8] .. ' ' .. stock[9] .. ' ' .. stock[10] .. ' ' .. (stock[11] or '1')
    if find(numbers, '^ %d+ %d+ %d+ %d+ %d+ %d+ %d+ %d+ %d+$') and not find(numbers, ' 0%d') then
        free, held, sold = stock[4] + 0, stock[5] + 0, stock[6] + 0 -- tonumber would read each of them twice
        opens, closes, per_user, hold = stock[7] + 0, stock[8] + 0, stock[9] + 0, stock[10] + 0
        local total = stock[3] + 0
        ledger_max = (stock[11] or total * ENTRIES_A_UNIT) + 0
        if not stock[11] and ledger_max < ENTRIES_LEAST then ledger_max = ENTRIES_LEAST end
        if total < NUMBER_MAX and opens < NUMBER_MAX and closes < NUMBER_MAX and hold < NUMBER_MAX
            and per_user <= PER_USER_MAX then
            state = stock[2]
            if total ~= free + held + sold then -- nothing is sold, but the records still know who has an order
                state, free = 'frozen', -1
            end
        end
    end
end

local function last_entry(key)
    local newest = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', 1)
    return not newest.err and newest[1] and newest[1][1] or ''
end

-- A ledger without an entry that a gateway has seen in it was restored from an older copy: the units of the
-- lost orders would be sold again. The bucket is frozen, for good and for every gateway.
local seen = ARGV[4]
if state and state ~= 'frozen' and state ~= 'archived' and seen and seen ~= '' then
    local found = redis.pcall('XRANGE', orders_key, seen, seen)
    if found.err or not found[1] then
        call('XADD', orders_key, 'NOMKSTREAM', '*', 'event', 'frozen', 'reason', 'the ledger lost ' .. seen)
        call('HSET', stock_key, 'state', 'frozen')
        state = 'frozen'
    end
end

-- What is stored and what the calendar says become one state; `ended` is final, then the opening counts.
local closed -- nil while open: the word that refuses a purchase
if state == 'archived' then state = 'ended' end
if state == 'open' or state == 'paused' or state == 'ended' then
    if state == 'ended' or (closes > 0 and now >= closes) then
        closed = 'ended'
    elseif now < opens then
        closed = 'not_started'
    elseif state == 'paused' then
        closed = 'paused'
    end
elseif state == 'frozen' then
    closed = 'frozen'
else
    local reply = {now, -1, 'frozen', last_entry(orders_key), 0}
    for k = 1, count do reply[k + 5] = 'frozen' end
    return reply
end

-- An order, as pass 1 sees it. One made by an item of this batch has `item`, and until pass 2 no entry.
local function new_order(item, digest, quantity, state, expires, born)
    return {item = item, digest = digest, quantity = quantity, state = state, expires = expires, born = born}
end

-- The orders of one user, oldest first; nil when the records are not well formed.
local function parse(text)
    local sub, match = string.sub, string.match
    local orders, length = {}, #text
    if length == 0 or length % RECORD_BYTES ~= 0 or length > RECORD_BYTES * RECORDS_MAX then return nil end
    for at = 1, length, RECORD_BYTES do
        local record = sub(text, at, at + RECORD_BYTES - 1)
        local quantity, expires, state_at, state, entry, dash_at =
            match(record, '^(%d%d%d%d%d%d)0*(%d+)()([hcxe])([1-9]%d*()%-%d+) *$', 17)
        if state_at ~= 36 or dash_at ~= 50 or match(entry, '%-0%d') then return nil end
        local order = new_order(nil, sub(record, 1, 16), tonumber(quantity), state, expires, tonumber(sub(entry, 1, 13)))
        order.record, order.entry = record, entry
        orders[#orders + 1] = order
    end
    return orders
end

-- The order a request stands for: the one of its key, or without a key the newest while it is alive.
local function find_order(orders, digest)
    if digest == '' then
        local newest = orders[#orders]
        if newest and (newest.state == 'h' or newest.state == 'c') then return newest end
        return nil
    end
    for i = 1, #orders do
        if orders[i].digest == digest then return orders[i] end
    end
end

local function units_taken(orders)
    local units = 0
    for i = 1, #orders do
        local order = orders[i]
        if order.state == 'h' or order.state == 'c' then units = units + order.quantity end
    end
    return units
end

-- Of eight orders the oldest that was given back and whose key nobody repeats any more gives way: its place,
-- 0 where there is room anyway, nil when none may go.
local function place_given_up(orders, forgotten_before)
    if #orders < RECORDS_MAX then return 0 end
    for i = 1, #orders do
        local order = orders[i]
        if order.state ~= 'h' and order.state ~= 'c' and order.born < forgotten_before then return i end
    end
end

-- `limit_reached` with the caller's entries; where one is not written yet, nil and the list as it is now.
local function list_orders(orders)
    local words, as_it_is, complete = {'limit_reached'}, {is_list = true}, true
    for i = 1, #orders do
        as_it_is[i] = orders[i]
        words[i + 1] = orders[i].entry
        complete = complete and orders[i].entry
    end
    if complete then return table.concat(words, ' ') end
    return nil, as_it_is
end

-- Pass 1. known[slot]: the orders of a user who has some; single[slot]: the item that is a user's only, new order,
-- kept where somebody comes twice; fresh: the items that buy, in order; later: answers that need an entry not
-- written yet.
local known, single, fresh, later = {}, {}, {}, {}
local answers = {now, free, closed or 'open', '', hold > 0 and now + hold or 0}
local unit_state = hold > 0 and 'h' or 'c'
local expires = hold > 0 and format('%.0f', now + hold) or NEVER
local expires_said = hold > 0 and expires or '0'
local free_now, made = free, 0

for k = 1, count do
    local slot, quantity = slots and slots[k] or k, items[k * 3]
    local look_only = quantity < 0
    if look_only then quantity = -quantity end

    local answer, orders, order
    local place = 0 -- where the record to give up stands; nil: the limit is reached
    local only = slots and single[slot]
    if texts[slot + 1] or only then
        orders = known[slot]
            or only and {new_order(only, items[only * 3 - 1], items[only * 3], unit_state, expires_said, now)}
            or parse(texts[slot + 1])
        known[slot] = orders
        if orders then order = find_order(orders, items[k * 3 - 1]) else answer = 'frozen' end -- the key look-up
    end

    if order then
        if order.quantity ~= quantity then
            answer = 'idempotency_mismatch'
        elseif order.entry then
            answer = '=' .. order.entry .. ' ' .. order.expires .. ' ' .. order.state
        else
            answer, later[k + 5] = '', {order}
        end
    elseif answer or closed == 'frozen' then
        answer = 'frozen'
    elseif look_only then
        answer = 'none'
    elseif closed then
        answer = closed
    elseif not (quantity >= 1 and quantity <= per_user and quantity % 1 == 0) then
        answer = 'bad_quantity'
    else
        if orders then
            place = place_given_up(orders, now - KEY_WINDOW_MS)
            if units_taken(orders) + quantity > per_user then place = nil end -- the limit of a user
        end
        if not place then
            answer, later[k + 5] = list_orders(orders)
        elseif ledger_length + made >= ledger_max then
            answer = 'queue_full'
        elseif quantity > free_now then
            answer = 'sold_out'
        else
            made = made + 1
            fresh[made] = k
            free_now = free_now - quantity
            if orders then
                if place > 0 then table.remove(orders, place) end
                orders[#orders + 1] = new_order(k, items[k * 3 - 1], quantity, unit_state, expires_said, now)
            elseif slots then
                single[slot] = k
            end
        end
    end
    answers[k + 5] = answer or ''
end

-- Pass 2. Nothing below can fail: every argument was checked above. XADD needs no NOMKSTREAM, an argument that
-- Redis and its file would carry for every purchase: pass 1 saw that the ledger is there.
if made > 0 then
    local event, bought = hold > 0 and 'held' or 'confirmed', free - free_now
    local heads, middles = {}, {} -- by quantity: what an entry begins with, what stands in a record's middle
    local spaces, entry_length = '', ENTRY_BYTES -- what a record ends with, behind an entry of this length
    local tail = hold > 0 and ' ' .. expires or ' -'
    local write, at, id = {'HSET', buyers_key}, 1, nil

    for n = 1, made do
        local k = fresh[n]
        local user, digest, quantity = items[k * 3 - 2], items[k * 3 - 1], items[k * 3]
        if not heads[quantity] then
            heads[quantity] = format('%.0f ', quantity)
            middles[quantity] = format('%06.0f', quantity) .. expires .. unit_state
        end
        local said = digest
        if digest == '' then said, digest = '-', NO_KEY end
        local order = heads[quantity] .. user .. ' ' .. said .. tail
        if carried and carried[k] then
            id = call('XADD', orders_key, '*', event, order, 'carried', carried[k])
        else
            id = call('XADD', orders_key, '*', event, order)
        end
        if #id ~= entry_length then
            entry_length = #id
            spaces = string.rep(' ', ENTRY_BYTES - entry_length)
        end
        local record = digest .. middles[quantity] .. id .. spaces
        local orders = known[slots and slots[k] or k]
        if not orders then
            at = at + 2
            write[at], write[at + 1] = user, record
        else
            for i = 1, #orders do
                if orders[i].item == k then orders[i].entry, orders[i].record = id, record end
            end
        end
        answers[k + 5] = id
    end

    for slot, orders in pairs(known) do
        if orders[#orders].item then
            local records = {}
            for i = 1, #orders do records[i] = orders[i].record end
            at = at + 2
            write[at], write[at + 1] = items[slot * 3 - 2], table.concat(records)
        end
    end
    call(unpack(write))
    if hold > 0 then
        call('HSET', stock_key, 'free', free_now, 'held', held + bought)
    else
        call('HSET', stock_key, 'free', free_now, 'sold', sold + bought)
    end
    answers[2], answers[4] = free_now, id
else
    answers[4] = last_entry(orders_key)
end

-- The answers that waited for the entry of an item before them.
for at, waiting in pairs(later) do
    if waiting.is_list then
        answers[at] = list_orders(waiting)
    else
        local order = waiting[1]
        answers[at] = '=' .. order.entry .. ' ' .. order.expires .. ' ' .. order.state
    end
end
return answers
