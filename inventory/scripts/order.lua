-- order.lua - one order by the ledger entry that made it.
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, entry
-- Reply [user, record], or an empty array when no such order is remembered

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local ms, sequence = string.match(ARGV[2], '^(%d+)%-(%d+)$')
if not ms or #ms ~= 13 or #sequence > 10 then return {} end

local entries = call('XRANGE', KEYS[3], ARGV[2], ARGV[2])
local user = entries[1] and read_purchase(entries[1][2])
if not user then return {} end

local records = call('HGET', KEYS[2], user) or ''
local wanted = padded_entry(ARGV[2])
for at = 1, #records, RECORD_BYTES do
    local record = string.sub(records, at, at + RECORD_BYTES - 1)
    if string.sub(record, ENTRY_AT) == wanted then return {user, record} end
end
return {}
