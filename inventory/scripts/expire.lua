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

local sub, find = string.sub, string.find

-- Who made a hold by this entry, and when it runs out; nil when the entry did not make one.
local function read_hold(fields)
    local user, event, expires = read_purchase(fields)
    if event == 'held' then return user, decimal(expires) or 0 end
end

-- The entries up to the first hold that is not yet due; those that made a hold are to be looked at.
local entries = call('XRANGE', KEYS[3], '(' .. stock.swept, '+', 'COUNT', most)
local users, ids, walked, next_due = {'HMGET', KEYS[2]}, {}, 0, 0
for i = 1, #entries do
    local user, due = read_hold(entries[i][2])
    if user and due > now then
        next_due = due
        break
    elseif user then
        users[#users + 1] = user
        ids[#ids + 1] = entries[i][1]
    end
    walked = i
end
local is_at_end = (next_due > 0 or #entries < most) and 1 or 0
if walked == 0 then return {now, 0, 0, is_at_end, next_due} end

-- Where in a user's records the order of this entry stands, if it is held still; nil when it is not, and when the
-- record is missing or damaged, which is for the auditor.
local function place_of(id, text)
    local wanted = padded_entry(id)
    for at = 1, #text, RECORD_BYTES do
        if sub(text, at + ENTRY_AT - 1, at + RECORD_BYTES - 1) == wanted then
            return find(text, '^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%dh', at + QUANTITY_AT - 1) and at
        end
    end
end

-- Pass 1: which of them are held still. texts[user] is what becomes of his records.
local found = #ids > 0 and call(unpack(users)) or {}
local texts, expired, quantities, free, held = {}, {}, {}, stock.free, stock.held
for i = 1, #ids do
    local user = users[i + 2]
    local text = texts[user] or found[i]
    local at = text and #text % RECORD_BYTES == 0 and place_of(ids[i], text)
    local quantity = at and tonumber(sub(text, at + QUANTITY_AT - 1, at + QUANTITY_AT + 4))
    if quantity and quantity <= held then
        free, held = free + quantity, held - quantity
        texts[user] = sub(text, 1, at + STATE_AT - 2) .. 'e' .. sub(text, at + STATE_AT)
        expired[#expired + 1] = i
        quantities[#expired] = digits(quantity)
    end
end

-- Pass 2. Nothing below can fail: every argument was checked above.
local prefix, write = order_prefix(KEYS[1], ARGV[1]), {'HSET', KEYS[2]}
for n, i in ipairs(expired) do
    call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', 'expired', 'order', prefix .. ids[i], 'user', users[i + 2],
        'quantity', quantities[n])
end
for user, text in pairs(texts) do
    write[#write + 1] = user
    write[#write + 1] = text
end
if #expired > 0 then call(unpack(write)) end
call('HSET', KEYS[1], 'free', digits(free), 'held', digits(held), 'swept', entries[walked][1])
return {now, #expired, walked, is_at_end, next_due}
