-- retire.lua - takes an archived bucket out of Redis.
--
-- KEYS  stock, buyers, orders, relay, dead
-- ARGV  epoch, the ledger's last entry as the archive has it
-- Reply 'retired' or 'gone'. REFUSED: not archived, ends elsewhere, or letters are dead and nobody dealt with them.

local PAGE = 200 -- letters

if call('EXISTS', unpack(KEYS)) == 0 then return 'gone' end
local stock, refusal = read_stock(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not stock then return refusal end
if stock.state ~= 'archived' then return refuse('REFUSED', 'it is ' .. (stock.state or 'in no state') .. ', not archived') end
if stock.last_id ~= ARGV[2] then
    return refuse('REFUSED', 'the ledger ends at ' .. stock.last_id .. ', the archive at ' .. ARGV[2])
end

-- What was dropped stays among the letters, and waits for nobody.
local function letters_waiting()
    local from, waiting = '-', 0
    repeat
        local page = call('XRANGE', KEYS[5], from, '+', 'COUNT', PAGE)
        for _, letter in ipairs(page) do
            if not fields_of(letter[2]).dropped then waiting = waiting + 1 end
            from = '(' .. letter[1]
        end
    until #page < PAGE
    return waiting
end

local waiting = letters_waiting()
if waiting > 0 then return refuse('REFUSED', digits(waiting) .. ' dead letters are waiting') end
call('UNLINK', unpack(KEYS))
return 'retired'
