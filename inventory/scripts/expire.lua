-- expire.lua - one step of the sweep: holds that ran out go back on sale.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, ledger entries to go over at most (1 ... 64)
-- Reply [now ms, orders expired, entries gone over, 1 if nothing more is due, ms at which the next hold runs out
--       (0: none is waiting)]
--
-- The field `swept` is the last ledger entry that was gone over, so every entry is looked at once. Holds are made
-- in the order in which they run out (hold is fixed once a sale has opened), so the first that is not yet due ends
-- the walk. The user's record decides: an order that is not held any more is gone over. Where nothing is held
-- there is nothing to look for, and the cursor jumps to the ledger's end.

local ENTRIES_MAX = 64

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local most = decimal(ARGV[2])
if not most or most < 1 or most > ENTRIES_MAX then return refuse('REFUSED', 'bad number of entries') end
if not stock.swept or not string.find(stock.swept, '^%d+%-%d+$') then
    return refuse('FROZEN', 'the field swept of ' .. KEYS[1] .. ' is not a ledger entry')
end
local now = now_ms()
if stock.state == 'frozen' or stock.state == 'archived' or not is_balanced(stock) then return {now, 0, 0, 1, 0} end
if stock.held == 0 then
    if stock.hold > 0 and stock.swept ~= stock.last_id then call('HSET', KEYS[1], 'swept', stock.last_id) end
    return {now, 0, 0, 1, 0}
end

-- The entries up to the first hold that is not yet due; those that made a hold are to be looked at.
local entries = call('XRANGE', KEYS[3], '(' .. stock.swept, '+', 'COUNT', most)
local users, ids, walked, next_due = {'HMGET', KEYS[2]}, {}, 0, 0
for _, entry in ipairs(entries) do
    local fields = fields_of(entry[2])
    if fields.event == 'held' and fields.user then
        local due = decimal(fields.expires_at)
        if due and due > now then
            next_due = due
            break
        end
        users[#users + 1] = fields.user
        ids[#ids + 1] = entry[1]
    end
    walked = walked + 1
end
local is_at_end = (next_due > 0 or #entries < most) and 1 or 0
if walked == 0 then return {now, 0, 0, is_at_end, next_due} end

-- Pass 1: which of them are held still. A record that is missing or damaged is for the auditor.
local texts = #ids > 0 and call(unpack(users)) or {}
local known, due, free, held = {}, {}, stock.free, stock.held
for i, id in ipairs(ids) do
    local user = users[i + 2]
    if known[user] == nil then known[user] = texts[i] and read_records(texts[i]) or false end
    local record = known[user] and known[user].by_entry[id]
    if record and record.state == 'h' and record.quantity <= held then
        record.state = 'e'
        free, held = free + record.quantity, held - record.quantity
        due[#due + 1] = {id = id, user = user, quantity = digits(record.quantity)}
    end
end

-- Pass 2. Nothing below can fail: every argument was checked above.
local prefix, write, written = order_prefix(KEYS[1], ARGV[1]), {'HSET', KEYS[2]}, {}
for _, order in ipairs(due) do
    call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', 'expired', 'order', prefix .. order.id, 'user', order.user,
        'quantity', order.quantity)
    if not written[order.user] then
        written[order.user] = true
        write[#write + 1] = order.user
        write[#write + 1] = write_records(known[order.user])
    end
end
if #due > 0 then call(unpack(write)) end
call('HSET', KEYS[1], 'free', digits(free), 'held', digits(held), 'swept', entries[walked][1])
return {now, #due, walked, is_at_end, next_due}
