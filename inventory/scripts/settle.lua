-- settle.lua - orders of one bucket that are paid for, cancelled, or given back by who bought them.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, then for each order: verb (confirm cancel give_back), ledger entry that made it, user (give_back:
--       who asks), payment's reference (confirm: or '')
-- Reply [word, user, record, word, user, record, ...]: the order's user and its record as it stands now, both ''
--       where the word is not_found or damaged (a record that cannot be read, or that the counters do not know)
--
-- Pass 1 decides every order and writes nothing; pass 2 writes the ledger, then the users' records, then the
-- counters. An order sees what those before it in the call did, so the same one twice is done once. The record
-- decides, not the clock: a hold that ran out and was not swept yet is confirmed like any other.

local ITEM_ARGUMENTS, ITEMS_MAX, PAYMENT_BYTES = 4, 64, 64
local EVENTS = {confirm = {'confirmed', 'c'}, cancel = {'cancelled', 'x'}, give_back = {'cancelled', 'x'}}

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local count = (#ARGV - 1) / ITEM_ARGUMENTS
if count % 1 ~= 0 or count > ITEMS_MAX then return refuse('REFUSED', 'bad number of arguments') end
for at = 2, #ARGV, ITEM_ARGUMENTS do
    if not EVENTS[ARGV[at]] or #ARGV[at + 3] > PAYMENT_BYTES or string.find(ARGV[at + 3], '[^\33-\126]') then
        return refuse('REFUSED', 'bad arguments')
    end
end

local moves_stock = stock.state ~= 'frozen' and stock.state ~= 'archived' and is_balanced(stock)
local free, held, sold = stock.free, stock.held, stock.sold
local prefix = order_prefix(KEYS[1], ARGV[1])
local known, changed, events, reply = {}, {}, {}, {}

-- Who bought by this entry; nil where it made no order.
local function buyer_of(entry)
    local ms, sequence = string.match(entry, '^(%d+)%-(%d+)$')
    if not ms or #ms ~= 13 or #sequence > 10 then return nil end
    local found = call('XRANGE', KEYS[3], entry, entry)[1]
    return found and read_purchase(found[2])
end

local function records_of(user)
    if known[user] == nil then
        local text = call('HGET', KEYS[2], user)
        known[user] = not text and {by_entry = {}} or read_records(text) or false
    end
    return known[user]
end

local function units_taken(records)
    local units = 0
    for _, record in ipairs(records) do
        if record.state == 'h' or record.state == 'c' then units = units + record.quantity end
    end
    return units
end

-- Why an expired order cannot be paid for any more; nil: it can.
local function late_refusal(record, records)
    if stock.late ~= 'reclaim' then return 'too_late' end
    if not moves_stock then return 'closed' end
    if record.quantity > free then return 'sold_out' end
    if units_taken(records) + record.quantity > stock.per_user then return 'limit_reached' end
end

-- Decides one order: changes the working copies and returns the word, and the event to write if there is one.
local function decide(verb, record, records)
    local quantity, event = record.quantity, EVENTS[verb]
    if record.state == event[2] then return 'already' end
    if record.state == 'h' then
        if stock.state == 'archived' then return 'closed' end
        if held < quantity then return 'damaged' end
        held, record.state = held - quantity, event[2]
        if verb == 'confirm' then sold = sold + quantity else free = free + quantity end
        return 'done', event[1]
    end
    if verb ~= 'confirm' or record.state ~= 'e' then return 'wrong_state' end
    local refused = late_refusal(record, records)
    if refused then return refused end
    free, sold, record.state = free - quantity, sold + quantity, 'c'
    return 'reclaimed', 'reclaimed'
end

local function add_event(name, entry, user, quantity, verb, payment)
    local event = {'XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', name, 'order', prefix .. entry, 'user', user,
        'quantity', digits(quantity), 'by', verb == 'give_back' and 'shopper' or 'payment'}
    if verb == 'confirm' and payment ~= '' then
        event[#event + 1] = 'payment'
        event[#event + 1] = payment
    end
    events[#events + 1] = event
    changed[user] = true
end

for at = 2, #ARGV, ITEM_ARGUMENTS do
    local verb, entry, asker, payment = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local user = buyer_of(entry)
    local records = user and records_of(user)
    local record = records and records.by_entry[entry]
    local word, event
    if user and records == false then
        word = 'damaged'
    elseif not record then
        word = 'not_found'
    elseif verb == 'give_back' and user ~= asker then
        word = 'foreign'
    else
        word, event = decide(verb, record, records)
        if event then add_event(event, entry, user, record.quantity, verb, payment) end
    end
    local is_known = word ~= 'not_found' and word ~= 'damaged'
    reply[#reply + 1] = word
    reply[#reply + 1] = is_known and user or ''
    reply[#reply + 1] = is_known and write_record(record) or ''
end
if #events == 0 then return reply end

-- Pass 2. Nothing below can fail: every argument was checked above.
for _, event in ipairs(events) do call(unpack(event)) end
local write = {'HSET', KEYS[2]}
for user in pairs(changed) do
    write[#write + 1] = user
    write[#write + 1] = write_records(known[user])
end
call(unpack(write))
call('HSET', KEYS[1], 'free', digits(free), 'held', digits(held), 'sold', digits(sold))
return reply
