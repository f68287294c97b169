-- state.lua - moves a bucket from one state to another, and says so in the ledger.
--
--    open <--> paused       open, paused --> ended       any --> frozen
--
-- KEYS  stock, buyers, orders
-- ARGV  epoch, wanted state
-- Reply [state before, state after]. Asking for the state that is there changes nothing.

local EVENTS = { -- from, to: the event
    open = {paused = 'paused', ended = 'ended', frozen = 'frozen'},
    paused = {open = 'resumed', ended = 'ended', frozen = 'frozen'},
    ended = {frozen = 'frozen'},
    frozen = {},
}

local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
local from, wanted = stock.state, ARGV[2]
if not EVENTS[wanted] then return refuse('REFUSED', 'no such state: ' .. wanted) end
if not EVENTS[from] then return refuse('FROZEN', 'the bucket is in no known state') end
if from == wanted then return {from, wanted} end
local event = EVENTS[from][wanted]
if not event then return refuse('REFUSED', 'it is ' .. from .. ' and cannot become ' .. wanted) end

call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'event', event)
call('HSET', KEYS[1], 'state', wanted)
return {from, wanted}
