-- resolve.lua - a frozen bucket goes on: its counters become what its ledger says.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, and to resolve: the ledger's last entry, state afterwards (open paused ended), reason, total, free,
--       held, sold, accepted, units by which total is more than the ledger's
-- Reply without more than the epoch ['frozen' or 'sound', last ledger id, total, free, held, sold as they are]; else
--       ['resolved' or 'moved', last ledger id]
--
-- The caller sums the ledger up to the entry that he was told; when it grew since, nothing is done and he sums
-- anew. Counters that cannot be read are as good as frozen, and this is what mends them; so they are only texts
-- here. The sweep begins anew: what was held up by the freeze, or was gone over for a wrong counter, is looked at.

local COUNTERS = {'total', 'free', 'held', 'sold'}
local STATES = {open = true, paused = true, ended = true}

local stock, refusal = read_texts(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local is_frozen = stock.state == 'frozen' or not read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if #ARGV == 1 then
    local reply = {is_frozen and 'frozen' or 'sound', stock.last_id}
    for i, value in ipairs(call('HMGET', KEYS[1], unpack(COUNTERS))) do reply[i + 2] = value or '' end
    return reply
end

if not is_frozen then return refuse('REFUSED', 'it is ' .. (stock.state or 'in no state') .. ' and not frozen') end
if not STATES[ARGV[3]] then return refuse('REFUSED', 'no such state to go on in: ' .. ARGV[3]) end
for i = 5, 10 do
    if i ~= 9 and not decimal(ARGV[i]) then return refuse('REFUSED', 'not a plain decimal: ' .. ARGV[i]) end
end
if tonumber(ARGV[5]) ~= tonumber(ARGV[6]) + tonumber(ARGV[7]) + tonumber(ARGV[8]) then
    return refuse('REFUSED', 'total is not free + held + sold')
end
if stock.last_id ~= ARGV[2] then return {'moved', stock.last_id} end

local id = call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', 'resolved', 'reason', ARGV[4], 'state', ARGV[3],
    'quantity', ARGV[10])
call('HSET', KEYS[1], 'state', ARGV[3], 'total', ARGV[5], 'free', ARGV[6], 'held', ARGV[7], 'sold', ARGV[8],
    'accepted', ARGV[9], 'swept', '0-0')
return {'resolved', id}
