-- Who asks, for wrk: `purchase` is always another shopper with a fresh key; `sold_out` and `limited` is one shopper
-- who asks over and over. PATH_ is where, SKUS how many of them are hot, USERS how many shoppers there are.
local path = os.getenv("PATH_") or "/v1/sales/bench/orders"
local skus, users = tonumber(os.getenv("SKUS") or 1), tonumber(os.getenv("USERS") or 1e8)
local format, random = string.format, math.random
local kind, count, salt, ready = "purchase", 0, 0, nil

local body = '{"sku":"%s","quantity":1}'
local head -- what wrk.format makes of the headers, once: a client that shares the processors must be cheap

local function post(user, key, sku)
  return format(head, #body - 2 + #sku, user, key, sku)
end

function init(arguments)
  kind = arguments[1] or kind
  math.randomseed(os.time() * 1000 + tonumber(tostring({}):match("0x(%x+)"), 16) % 1000)
  salt = random(1, 1e9)
  head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nContent-Type: application/json\r\n"
    .. "Content-Length: %d\r\nX-User-Id: %s\r\n%s\r\n" .. body
  if kind == "sold_out" then ready = post("late", "", "gone") end
  if kind == "limited" then ready = post("greedy", "", "1") end
end

function request()
  if ready then return ready end
  count = count + 1
  return post("u" .. random(1, users), "Idempotency-Key: " .. salt .. "-" .. count .. "\r\n",
    skus == 1 and "1" or tostring(random(1, skus)))
end
