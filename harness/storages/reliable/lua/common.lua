-- What all scripts share. KEYS and ARGV begin as scripts.py says; NAMES of keys are put in front of this.
-- Every path that answers writes something (touch), where the caller waits for replicas: WAIT returns at once on a
-- connection that has written nothing.
local clock = redis.call('time')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local NOT_AFTER, WAITED = tonumber(ARGV[1]), ARGV[2] == '1'

local function touch()
  if WAITED then redis.call('hincrby', META, 'touched', 1) end
end

-- An abandoned request may still be delivered, by TCP, long after its caller gave up.
if NOW > NOT_AFTER then
  touch()
  return {'late', NOW}
end

local function wake(count)
  local room = math.min(count, 256 - redis.call('llen', WAKE))
  for _ = 1, room do redis.call('lpush', WAKE, '1') end
end

-- First in, first out within a priority: by this counter, not by anybody's clock.
local function line_up(entry, score)
  local seq = redis.call('hincrby', META, 'seq', 1)
  redis.call('zadd', QUEUE, score, string.format('%016x', seq) .. entry)
end

local function completed_by(entry)
  return redis.call('hget', DONE, entry) or redis.call('hget', DONE_OLD, entry)
end
