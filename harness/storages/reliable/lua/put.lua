-- Enqueue or schedule one message, once. ARGV: 3 entry, 4 message, 5 score, 6 eta or '', 7 lifetime of ONCE in ms.
-- KEYS may end with ONCE. Answers the time alone, which is quickly read, unless ONCE was known.
local entry, score, eta = ARGV[3], ARGV[5], ARGV[6]
if ONCE then
  local first = redis.call('get', ONCE)
  if first and first ~= entry then
    touch()
    return {'known', NOW}
  end
  if not first then redis.call('set', ONCE, entry, 'px', ARGV[7]) end
end
if completed_by(entry) or redis.call('hsetnx', ENTRIES, entry, ARGV[4]) == 0 then
  touch()
  return NOW  -- a repeat of what was done before
end
if eta == '' then
  line_up(entry, score)
  wake(1)
else
  schedule(entry, eta)
  wake_for_first(entry)
end
return NOW
