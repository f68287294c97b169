-- stock_add.lua - brings more units of a SKU on sale.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, units to add (1 ... 10^9)
-- Reply [total, free] afterwards

local UNITS_MAX = 1000000000

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local units = decimal(ARGV[2])
if not units or units < 1 or units > UNITS_MAX then
    return refuse('REFUSED', 'units to add are 1 ... 1000000000, not ' .. ARGV[2])
end
if stock.state == 'frozen' then return refuse('FROZEN', 'the SKU is frozen; `flashgatectl sale show` tells why') end
if stock.state == 'archived' then return refuse('REFUSED', 'the SKU is archived') end
if not is_balanced(stock) then return refuse('FROZEN', 'total is not free + held + sold in ' .. KEYS[1]) end
local total, free = stock.total + units, stock.free + units
if total > NUMBER_MAX / 100 then return refuse('REFUSED', 'the stock would be too large') end

call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', 'stock_added', 'quantity', ARGV[2])
call('HSET', KEYS[1], 'total', digits(total), 'free', digits(free))
return {total, free}
