-- common.lua - what every script but purchase.lua begins with: the clock, strict numbers, the books of a bucket.
--
-- A script's text is this file followed by its own. A refusal is an error reply whose first word says what
-- kind it is: REFUSED (does not fit what is there), FROZEN (the books are not whole), LEASE (not ours).

local call, try = redis.call, redis.pcall
local NUMBER_MAX = 1e15 -- below 2^53 with room: counters stay exact

local function refuse(kind, text) return redis.error_reply(kind .. ' ' .. text) end

local function now_ms()
    local time = call('TIME')
    return time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
end

-- A plain decimal as a number, else nil: tonumber alone would take 0x10, 1e3 and nan.
local function decimal(text)
    if type(text) ~= 'string' or not (text == '0' or string.find(text, '^[1-9]%d*$')) then return nil end
    local number = tonumber(text)
    return number <= NUMBER_MAX and number or nil
end

-- `..` and tostring would write 1790000000000 as 1.79e+12.
local function digits(number) return string.format('%.0f', number) end

local function last_entry(orders_key)
    local newest = try('XREVRANGE', orders_key, '+', '-', 'COUNT', 1)
    return not newest.err and newest[1] and newest[1][1] or nil
end

-- The stock of a bucket as a table of its fields, or nil and the refusal. Missing, differing or of a wrong
-- type means closed: never zero, never made anew. That total = free + held + sold is left to `is_balanced`,
-- for an audit must be able to read books that are not.
local STOCK_NUMBERS = {'total', 'free', 'held', 'sold', 'opens', 'closes', 'per_user', 'hold'}
local STOCK_TEXTS = {'epoch', 'state', 'late', 'swept', 'accepted'}

-- The texts only, for who must cope with counters that cannot be read.
local function read_texts(stock_key, buyers_key, orders_key, epoch)
    local values = try('HMGET', stock_key, unpack(STOCK_TEXTS))
    local sentinel = try('HGET', buyers_key, '')
    local last_id = last_entry(orders_key)
    if type(values) ~= 'table' or values.err or values[1] ~= epoch then
        return nil, refuse('FROZEN', 'the stock ' .. stock_key .. ' is missing or of another epoch')
    end
    if sentinel ~= epoch then
        return nil, refuse('FROZEN', 'the buyers ' .. buyers_key .. ' are missing or of another epoch')
    end
    if not last_id then return nil, refuse('FROZEN', 'the ledger ' .. orders_key .. ' is missing') end
    local stock = {last_id = last_id}
    for i, name in ipairs(STOCK_TEXTS) do stock[name] = values[i] or nil end
    return stock
end

local function read_stock(stock_key, buyers_key, orders_key, epoch)
    local stock, refusal = read_texts(stock_key, buyers_key, orders_key, epoch)
    if not stock then return nil, refusal end
    local values = call('HMGET', stock_key, unpack(STOCK_NUMBERS))
    for i, name in ipairs(STOCK_NUMBERS) do
        stock[name] = decimal(values[i])
        if not stock[name] then
            return nil, refuse('FROZEN', 'the field ' .. name .. ' of ' .. stock_key .. ' is not a plain decimal')
        end
    end
    return stock
end

local function is_balanced(stock) return stock.total == stock.free + stock.held + stock.sold end

-- The users' records, in the form that purchase.lua gives them:
-- digest 16 | quantity 6 | expires ms 13 | state h c x e | entry, padded with spaces to 24.
local RECORD_BYTES, RECORDS_MAX = 60, 8
local QUANTITY_AT, STATE_AT, ENTRY_AT = 17, 36, 37

-- One user's records by their entries, and in order; nil when they are not well formed.
local function read_records(text)
    local records, length = {by_entry = {}}, #text
    if length == 0 or length % RECORD_BYTES ~= 0 or length > RECORD_BYTES * RECORDS_MAX then return nil end
    for at = 1, length, RECORD_BYTES do
        local text = string.sub(text, at, at + RECORD_BYTES - 1)
        local quantity, state_at, state, entry, dash_at =
            string.match(text, '^(%d%d%d%d%d%d)%d+()([hcxe])([1-9]%d*()%-%d+) *$', QUANTITY_AT)
        if state_at ~= STATE_AT or dash_at ~= ENTRY_AT + 13 or string.find(entry, '%-0%d') then return nil end
        local record = {head = string.sub(text, 1, STATE_AT - 1), quantity = tonumber(quantity), state = state,
            tail = string.sub(text, ENTRY_AT)}
        records[#records + 1] = record
        records.by_entry[entry] = record
    end
    return records
end

local function write_record(record) return record.head .. record.state .. record.tail end

local function write_records(records)
    local texts = {}
    for i, record in ipairs(records) do texts[i] = write_record(record) end
    return table.concat(texts)
end

-- An entry as it stands in a record.
local function padded_entry(entry) return string.format('%-24s', entry) end

-- Who bought by a ledger entry, whether it is `held` or `confirmed`, and when it expires (held only, a text); nil
-- where it is not a purchase's. Its value is `QUANTITY USER KEY EXPIRES`, `-` for what there is not.
local PURCHASES = {
    held = '^[1-9]%d* ([\33-\126]+) ([0-9a-f-]+) ([1-9]%d*)$',
    confirmed = '^[1-9]%d* ([\33-\126]+) ([0-9a-f-]+) (%-)$',
}

local function read_purchase(fields)
    local form = PURCHASES[fields[1]]
    if not form then return nil end
    local user, key, expires = string.match(fields[2], form)
    if key == '-' or key and #key == 16 then return user, fields[1], expires end
end

-- A ledger entry's fields as a table.
local function fields_of(pairs)
    local fields = {}
    for i = 1, #pairs, 2 do fields[pairs[i]] = pairs[i + 1] end
    return fields
end

-- What every id of this bucket's orders begins with: BUCKET-EPOCH-
local function order_prefix(stock_key, epoch)
    return string.match(stock_key, '{(%d+)}') .. '-' .. epoch .. '-'
end

