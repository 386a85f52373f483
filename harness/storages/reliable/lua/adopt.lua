-- Take over what a stock storage of the same name holds, in its order. STOCK is its queue, a list or a sorted set,
-- STOCK_SCHEDULE its schedule. ARGV: 3 most at a time, then triples (member of STOCK_SCHEDULE, its eta in ms, our
-- message for it).
-- Answers how many were taken.
local function entry_for()
  -- No client's token: the request may be repeated, and then takes others. The counter makes it unique.
  return 'adopted ' .. struct.pack('>I4', redis.call('hincrby', META, 'adopted', 1) % 4294967296)
end

local taken = 0
local kind = redis.call('type', STOCK).ok
for _ = 1, tonumber(ARGV[3]) do
  local message, score
  if kind == 'list' then
    message, score = redis.call('rpop', STOCK), 0
  elseif kind == 'zset' then
    -- PriorityRedisStorage puts eight bytes of its clock in front.
    local top = redis.call('zpopmin', STOCK)
    if #top > 0 then message, score = string.sub(top[1], 9), top[2] end
  end
  if not message then break end
  local entry = entry_for()
  redis.call('hset', ENTRIES, entry, message)
  line_up(entry, score)
  taken = taken + 1
end
if taken > 0 then wake(taken) end
for i = 4, #ARGV, 3 do
  if redis.call('zrem', STOCK_SCHEDULE, ARGV[i]) == 1 then
    local entry = entry_for()
    redis.call('hset', ENTRIES, entry, ARGV[i + 2])
    schedule(entry, ARGV[i + 1])
    taken = taken + 1
  end
end
touch()
return {'ok', NOW, taken}
