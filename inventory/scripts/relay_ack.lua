-- relay_ack.lua - marks entries as delivered, if the lease is still the caller's.
--
-- KEYS  orders, relay
-- ARGV  sink, owner, token, entry ids...
-- Reply how many were pending. LEASE: another holds it.

local IDS_MAX = 4000

local lease = call('HMGET', KEYS[2], ARGV[1] .. '.owner', ARGV[1] .. '.token')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return refuse('LEASE', 'the lease of ' .. ARGV[1] .. ' is lost') end
if #ARGV < 4 then return 0 end
if #ARGV - 3 > IDS_MAX then return refuse('REFUSED', 'too many entries to acknowledge') end
return call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 4))
