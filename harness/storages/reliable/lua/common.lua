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

-- First in, first out within a priority: by this counter, not by anybody's clock. After it a mark, whether TRIES may know
-- the entry: to ask it about each would cost more than the mark.
local PLACE_BYTES, NEW, TRIED = 17, 'n', 't'

local function line_up(entry, score, mark)
  local seq = redis.call('hincrby', META, 'seq', 1)
  redis.call('zadd', QUEUE, score, string.format('%016x', seq) .. (mark or NEW) .. entry)
end

-- A queue's member in its two parts: its place, and the entry.
local function place_and_entry(member)
  return string.sub(member, 1, PLACE_BYTES), string.sub(member, PLACE_BYTES + 1)
end

-- Steps look for what is due only when something can be: at META's `look`, which is never later than so.
local LOOK_MS = 100

local function look_soon(due)
  if tonumber(due) < NOW + LOOK_MS then redis.call('hdel', META, 'look') end
end

local function schedule(entry, due)
  redis.call('zadd', SCHEDULE, due, entry)
  look_soon(due)
end

-- Somebody's next deadline may be nearer now.
local function wake_for_first(entry)
  if redis.call('zrange', SCHEDULE, 0, 0)[1] == entry then wake(1) end
end

-- What a message of ours begins with: steps.py, Envelope. Others (a stock storage's) say nothing of themselves.
local function is_ours(message)
  return string.sub(message, 1, 4) == '\0hr1'
end

local function score_of(message)
  if not is_ours(message) then return 0 end
  return -struct.unpack('>d', message, 5)
end

local function forget_chord(chord, size)
  for index = 0, size - 1 do redis.call('hdel', CHORDS, chord .. ':' .. index) end
  redis.call('hdel', CHORDS, chord)
end

local function completed_by(entry)
  return redis.call('hget', DONE, entry) or redis.call('hget', DONE_OLD, entry)
end
