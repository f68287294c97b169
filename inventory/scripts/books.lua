-- books.lua - one cut through a bucket: the counters and the ledger's last id as of the same moment.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch
-- Reply [now ms, total, free, held, sold, state, last ledger id, ledger entries]

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
return {now_ms(), stock.total, stock.free, stock.held, stock.sold, stock.state or '', stock.last_id,
    call('XLEN', KEYS[3])}
