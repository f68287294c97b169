-- state.lua - moves a bucket from one state to another, and says so in the ledger.
--
--    open <--> paused       open, paused --> ended --> archived       any but archived --> frozen
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, wanted state, reason ('': none)
-- Reply [state before, state after, last ledger id]. Asking for the state that is there changes nothing.
-- A bucket is archived only when nothing is held; nothing is written to it after that. From frozen only
-- resolve.lua leads on.

local EVENTS = { -- from, to: the event
    open = {paused = 'paused', ended = 'ended', frozen = 'frozen'},
    paused = {open = 'resumed', ended = 'ended', frozen = 'frozen'},
    ended = {frozen = 'frozen', archived = 'archived'},
    frozen = {},
    archived = {},
}

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local from, wanted = stock.state, ARGV[2]
if not EVENTS[wanted] then return refuse('REFUSED', 'no such state: ' .. wanted) end
if not EVENTS[from] then return refuse('FROZEN', 'the bucket is in no known state') end
if from == wanted then return {from, wanted, stock.last_id} end
local event = EVENTS[from][wanted]
if not event then return refuse('REFUSED', 'it is ' .. from .. ' and cannot become ' .. wanted) end
if wanted == 'archived' and stock.held > 0 then
    return refuse('REFUSED', digits(stock.held) .. ' units are held: they are confirmed, cancelled or expire first')
end
if wanted == 'archived' and not is_balanced(stock) then
    return refuse('FROZEN', 'total is not free + held + sold in ' .. KEYS[1])
end

local entry = {'XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', event}
if ARGV[3] and ARGV[3] ~= '' then
    entry[#entry + 1] = 'reason'
    entry[#entry + 1] = ARGV[3]
end
local id = call(unpack(entry))
call('HSET', KEYS[1], 'state', wanted)
return {from, wanted, id}
