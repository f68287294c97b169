-- roster_beat.lua - one gateway says that it is alive, and learns how many are.
--
-- KEYS  fg:gateways: gateway -> Redis's ms of its last beat
-- ARGV  gateway, lifetime ms
-- Reply how many are alive, the caller included
--
-- Only Redis's clock counts. After it was set back, beats from its old future would live too long: they go too.

local now, lifetime = now_ms(), decimal(ARGV[2])
if ARGV[1] == '' or not lifetime then return refuse('REFUSED', 'expected a gateway and a lifetime') end
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. digits(now - lifetime))
call('ZREMRANGEBYSCORE', KEYS[1], '(' .. digits(now + lifetime), '+inf')
call('ZADD', KEYS[1], digits(now), ARGV[1])
return call('ZCARD', KEYS[1])
