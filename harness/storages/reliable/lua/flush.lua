-- Forget what is queued, or scheduled, a batch at a time. ARGV: 3 'queue' or 'schedule'. Answers how many are left.
local key = ARGV[3] == 'queue' and QUEUE or SCHEDULE
local members = redis.call('zrange', key, 0, 999)
for _, member in ipairs(members) do
  redis.call('zrem', key, member)
  local entry = ARGV[3] == 'queue' and string.sub(member, PLACE_BYTES + 1) or member
  redis.call('hdel', ENTRIES, entry)
  redis.call('hdel', TRIES, entry)
end
touch()
return {'ok', NOW, redis.call('zcard', key)}
