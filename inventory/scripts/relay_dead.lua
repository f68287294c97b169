-- relay_dead.lua - takes a dead letter away, or puts a newer one in its place, if the lease is still the caller's.
--
-- KEYS  orders, relay, dead
-- ARGV  sink, owner, token, the letter's id in the stream; for a newer one: entry, event id, order, kind, reason,
--       attempts, and why it was dropped, if it was: that letter stays, so that an audit knows what is missing
-- Reply 1; 0: there is no such letter any more. LEASE: another holds it.

local VERSION = '1'

local sink, letter = ARGV[1], ARGV[4]
local lease = call('HMGET', KEYS[2], sink .. '.owner', sink .. '.token')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return refuse('LEASE', 'the lease of ' .. sink .. ' is lost') end
if #ARGV ~= 4 and #ARGV ~= 10 and #ARGV ~= 11 then return refuse('REFUSED', 'bad arguments') end
if #call('XRANGE', KEYS[3], letter, letter) == 0 then return 0 end
if #ARGV >= 10 then
    local fields = {'version', VERSION, 'sink', sink, 'entry', ARGV[5], 'event_id', ARGV[6], 'order', ARGV[7], 'kind',
        ARGV[8], 'reason', ARGV[9], 'attempts', ARGV[10], 'at_ms', digits(now_ms())}
    if ARGV[11] then
        fields[#fields + 1] = 'dropped'
        fields[#fields + 1] = ARGV[11]
    end
    call('XADD', KEYS[3], '*', unpack(fields))
end
return call('XDEL', KEYS[3], letter)
