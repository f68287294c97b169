-- A crowd for wrk: always another shopper, always a fresh key.
local count, salt = 0, 0
function init() math.randomseed(os.time()) salt = math.random(1, 1e9) end
function request()
  count = count + 1
  return wrk.format("POST", "/v1/sales/bench/orders", {
    ["Content-Type"] = "application/json",
    ["X-User-Id"] = "u" .. math.random(1, 100000000),
    ["Idempotency-Key"] = salt .. "-" .. count,
  }, '{"sku":"1","quantity":1}')
end
