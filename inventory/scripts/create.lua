-- create.lua - the keys of one bucket, all at once. Repeating it changes nothing.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, total, opens ms (0: at once), closes ms (0: until ended), per_user, hold ms (0: none), state,
--       max_ledger_entries ('': the default), late payment (refuse, reclaim)
-- Reply 'created' or 'exists'. REFUSED: another epoch is there, or only a part of this one.

local stock_key, buyers_key, orders_key = KEYS[1], KEYS[2], KEYS[3]
local epoch = ARGV[1]

for i = 2, 6 do
    if not decimal(ARGV[i]) then return refuse('REFUSED', 'argument ' .. i .. ' is not a plain decimal: ' .. ARGV[i]) end
end
if ARGV[8] ~= '' and not decimal(ARGV[8]) then return refuse('REFUSED', 'max_ledger_entries is not a plain decimal') end
if ARGV[7] ~= 'open' and ARGV[7] ~= 'paused' then return refuse('REFUSED', 'a bucket is created open or paused') end

if ARGV[9] ~= 'refuse' and ARGV[9] ~= 'reclaim' then return refuse('REFUSED', 'no such late payment: ' .. ARGV[9]) end

local there = call('EXISTS', stock_key, buyers_key, orders_key)
if there > 0 then
    local stock, refusal = read_stock(stock_key, buyers_key, orders_key, epoch)
    if stock then return 'exists' end
    return refuse('REFUSED', 'a bucket is there already and is not the one to create: ' .. refusal.err)
end

local fields = {'total', ARGV[2], 'free', ARGV[2], 'held', '0', 'sold', '0', 'state', ARGV[7], 'epoch', epoch,
    'opens', ARGV[3], 'closes', ARGV[4], 'per_user', ARGV[5], 'hold', ARGV[6], 'late', ARGV[9],
    'swept', '0-0'}
if ARGV[8] ~= '' then
    fields[#fields + 1] = 'max_ledger_entries'
    fields[#fields + 1] = ARGV[8]
end
call('XADD', orders_key, '*', 'event', 'opened', 'quantity', ARGV[2])
call('HSET', buyers_key, '', epoch)
call('HSET', stock_key, unpack(fields))
return 'created'
