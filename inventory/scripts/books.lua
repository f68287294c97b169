-- books.lua - one cut through a bucket: the counters, the ledger's last id, and how much of the ledger has not
-- reached everybody it is for, all as of the same moment. Reads only, and nothing here depends on how long the
-- ledger is.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch
-- Reply [now ms, total, free, held, sold, state, last ledger id, ledger entries, accepted, events that the slowest
--       consumer group has not acknowledged, ms at which the oldest of all groups' was written (0: there is none)]
--
-- Without any group nobody has read anything: the whole ledger waits. A group whose lag Redis cannot tell
-- (entries were deleted) counts the same, for it is better to stop selling than to lose sight of the backlog.

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local orders = KEYS[3]
local length = call('XLEN', orders)

local function written_ms(id) return tonumber(string.match(id, '^%d+')) end

local function first_after(id)
    local next = call('XRANGE', orders, id, '+', 'COUNT', 1)[1]
    return next and written_ms(next[1])
end

-- Events a group has not acknowledged, and when the oldest of them was written (nil: none).
local function waiting_for(group)
    local next_ms = first_after('(' .. group['last-delivered-id'])
    local lag = next_ms and (group.lag or length) or 0
    if group.pending == 0 then return lag, next_ms end
    return lag + group.pending, written_ms(call('XPENDING', orders, group.name)[2])
end

local function backlog()
    local groups = call('XINFO', 'GROUPS', orders)
    if #groups == 0 then return length, first_after('-') end
    local events, oldest = 0, nil
    for _, pairs in ipairs(groups) do
        local waiting, since = waiting_for(fields_of(pairs))
        events = math.max(events, waiting)
        if since and (not oldest or since < oldest) then oldest = since end
    end
    return events, oldest or 0
end

local events, oldest = backlog()
return {now_ms(), stock.total, stock.free, stock.held, stock.sold, stock.state or '', stock.last_id, length,
    stock.accepted or '', events, oldest}
