-- relay_ack.lua - marks entries as delivered or as dead, if the lease is still the caller's.
--
-- A dead entry leaves the sink's way and its letter is made in one step, and only while the entry is pending: the
-- answer may be lost and the call come again. Letters are appended first, for only that can fail.
--
-- KEYS  orders, relay, dead
-- ARGV  sink, owner, token, how many entries were delivered, their ids..., and of each dead one:
--       its id, event id, order, kind, reason, attempts
-- Reply how many letters were made. LEASE: another holds it.

local VERSION, IDS_MAX, LETTER_WORDS = '1', 4000, 6

local sink, count = ARGV[1], decimal(ARGV[4])
local lease = call('HMGET', KEYS[2], sink .. '.owner', sink .. '.token')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return refuse('LEASE', 'the lease of ' .. sink .. ' is lost') end
if not count or count > IDS_MAX or 4 + count > #ARGV or (#ARGV - 4 - count) % LETTER_WORDS ~= 0 then
    return refuse('REFUSED', 'bad entries to acknowledge')
end
local letters, now = 0, digits(now_ms())
local done = {unpack(ARGV, 5, 4 + count)}
for at = 5 + count, #ARGV, LETTER_WORDS do
    local entry = ARGV[at]
    if #call('XPENDING', KEYS[1], sink, entry, entry, 1) == 1 then
        call('XADD', KEYS[3], '*', 'version', VERSION, 'sink', sink, 'entry', entry, 'event_id', ARGV[at + 1],
            'order', ARGV[at + 2], 'kind', ARGV[at + 3], 'reason', ARGV[at + 4], 'attempts', ARGV[at + 5],
            'at_ms', now)
        letters = letters + 1
    end
    done[#done + 1] = entry
end
if #done > 0 then call('XACK', KEYS[1], sink, unpack(done)) end
return letters
