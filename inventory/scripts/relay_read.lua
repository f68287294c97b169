-- relay_read.lua - the ledger's next entries for one sink, given only to the holder of its lease.
--
-- Reading and renewing are one step, so that a relay that lost its lease gets nothing. The token grows with
-- every holder; the sink's transaction checks it.
--
-- KEYS  orders, relay, dead (not used)
-- ARGV  sink, owner, lease ms, entries at most, '1' to take first what is pending, whoever left it
-- Reply [owner, token, until ms, last ledger id, entries] or, to who does not hold the lease, ['', token, until]

local COUNT_MAX = 4000

local sink, owner = ARGV[1], ARGV[2]
local lease_ms, count = decimal(ARGV[3]), decimal(ARGV[4])
if not lease_ms or not count or count < 1 or count > COUNT_MAX or owner == '' then
    return refuse('REFUSED', 'bad arguments')
end
local names = {sink .. '.owner', sink .. '.until', sink .. '.token'}
local lease = call('HMGET', KEYS[2], unpack(names))
local now = now_ms()
local holder, lapses, token = lease[1] or '', decimal(lease[2] or '0'), decimal(lease[3] or '0')
if not lapses or not token then return refuse('REFUSED', 'the lease in ' .. KEYS[2] .. ' is damaged') end
if holder ~= '' and holder ~= owner and lapses > now then return {'', token, lapses} end
if holder ~= owner then token = token + 1 end

local entries = {}
if ARGV[5] == '1' then
    local claimed = try('XAUTOCLAIM', KEYS[1], sink, owner, 0, '0-0', 'COUNT', count)
    if claimed.err then return claimed end
    entries = claimed[2]
end
if #entries == 0 then
    local read = try('XREADGROUP', 'GROUP', sink, owner, 'COUNT', count, 'STREAMS', KEYS[1], '>')
    if read and read.err then return read end
    if read and read[1] then entries = read[1][2] end
end
call('HSET', KEYS[2], names[1], owner, names[2], digits(now + lease_ms), names[3], digits(token))
return {owner, token, now + lease_ms, last_entry(KEYS[1]) or '', entries}
