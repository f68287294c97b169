-- purchase.lua, batched as flashgate batches. KEYS stock, buyers, orders; ARGV limit, one cmsgpack array {user, key, quantity, ...}.
local limit, items, answers = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2]), {}
for i = 1, #items, 3 do
    local user, key, wanted = items[i], items[i + 1], items[i + 2]
    local bought = tonumber(redis.call('HGET', KEYS[2], user) or 0)
    local left = tonumber(redis.call('GET', KEYS[1]) or 0)
    local n = #answers + 1
    if bought + wanted > limit then
        answers[n] = {-2, bought}
    elseif left < wanted then
        answers[n] = {-1, left}
    else
        redis.call('DECRBY', KEYS[1], wanted)
        redis.call('HINCRBY', KEYS[2], user, wanted)
        answers[n] = {left - wanted, redis.call('XADD', KEYS[3], '*', 'user', user, 'quantity', wanted, 'key', key)}
    end
end
return answers
