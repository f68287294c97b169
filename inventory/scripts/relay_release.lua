-- relay_release.lua - gives a lease back at a clean stop, so that the next relay need not wait for its lapse.
--
-- KEYS  orders, relay, dead (not used)
-- ARGV  sink, owner, token
-- Reply 1, or 0 when the lease was another's. The token stays: it must keep growing.

local lease = call('HMGET', KEYS[2], ARGV[1] .. '.owner', ARGV[1] .. '.token')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return 0 end
call('HSET', KEYS[2], ARGV[1] .. '.owner', '', ARGV[1] .. '.until', '0')
return 1
