-- The usual way to sell in Redis: one call a purchase. KEYS stock, buyers, orders; ARGV user, quantity, limit, key.
local bought = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
local wanted, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if bought + wanted > limit then return {-2, bought} end
local left = tonumber(redis.call('GET', KEYS[1]) or 0)
if left < wanted then return {-1, left} end
redis.call('DECRBY', KEYS[1], wanted)
redis.call('HINCRBY', KEYS[2], ARGV[1], wanted)
return {left - wanted, redis.call('XADD', KEYS[3], '*', 'user', ARGV[1], 'quantity', wanted, 'key', ARGV[4])}
