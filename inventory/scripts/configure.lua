-- configure.lua - changes what of a bucket may change. The stock is not among it: see stock_add.lua.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, opens ms, closes ms, per_user, hold ms, late payment (refuse, reclaim)
-- Reply 'changed' or 'same'. REFUSED: the opening and the hold are fixed once the sale has opened, for the
--       ledger's order is the order of expiry. FROZEN: the books are not whole, or the bucket is frozen.

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end

local names, change = {'opens', 'closes', 'per_user', 'hold'}, {}
for i, name in ipairs(names) do
    local wanted = decimal(ARGV[i + 1])
    if not wanted then return refuse('REFUSED', name .. ' is not a plain decimal: ' .. ARGV[i + 1]) end
    if wanted ~= stock[name] then
        change[#change + 1] = name
        change[#change + 1] = ARGV[i + 1]
        if (name == 'opens' or name == 'hold') and now_ms() >= stock.opens then
            return refuse('REFUSED', name .. ' cannot change once the sale has opened')
        end
    end
end
if ARGV[6] ~= 'refuse' and ARGV[6] ~= 'reclaim' then return refuse('REFUSED', 'no such late payment: ' .. ARGV[6]) end
if ARGV[6] ~= (stock.late or 'refuse') then
    change[#change + 1] = 'late'
    change[#change + 1] = ARGV[6]
end
if #change == 0 then return 'same' end
if stock.state == 'frozen' then return refuse('FROZEN', 'the SKU is frozen; `flashgatectl sale show` tells why') end
if stock.state == 'archived' then return refuse('REFUSED', 'the SKU is archived') end

call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', 'changed')
call('HSET', KEYS[1], unpack(change))
return 'changed'
