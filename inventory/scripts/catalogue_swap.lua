-- catalogue_swap.lua - compare and set one field of the catalogue, and draw bucket numbers with it.
--
-- KEYS  fg:sales
-- ARGV  field, value expected ('': none), value to set ('': take the field away), '1' to raise `generation`,
--       bucket numbers to draw
-- Reply [1 or 0, the field's value now, first bucket number drawn or 0]. Nothing changes where it is 0.

local count = decimal(ARGV[5])
if not count then return refuse('REFUSED', 'the count of buckets is not a plain decimal') end
local current = call('HGET', KEYS[1], ARGV[1]) or ''
if current ~= ARGV[2] then return {0, current, 0} end
local drawn = call('HGET', KEYS[1], 'buckets') or '0'
local generation = call('HGET', KEYS[1], 'generation') or '0'
if not decimal(drawn) or not decimal(generation) then
    return refuse('REFUSED', 'the catalogue is damaged: buckets or generation is not a plain decimal')
end

if ARGV[3] == '' then call('HDEL', KEYS[1], ARGV[1]) else call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if ARGV[4] == '1' then call('HSET', KEYS[1], 'generation', digits(decimal(generation) + 1)) end
if count == 0 then return {1, ARGV[3], 0} end
call('HSET', KEYS[1], 'buckets', digits(decimal(drawn) + count))
return {1, ARGV[3], decimal(drawn) + 1}
