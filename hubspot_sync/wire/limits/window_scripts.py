"""What Redis does for a shared window, in one step each: say whether one more may be sent and count
it, count its answer, be told what a process has sent. All times are microseconds, by Redis' clock.

What is done with what it says is `shared_windows.py`'s.
"""

from __future__ import annotations

from typing import Final

LOOK_AGAIN_S: Final = 3.0
"""So long nothing is sent once HubSpot has said that nothing is left."""
NAME_KEPT_S: Final = 604_800.0
"""So long after the last call Redis is called what it was. Whoever is told another name later is
careful for a window; with none for good every token that ever was would leave one."""

# KEYS: who was sent, by the time in microseconds until which they may arrive (whoever was answered
# arrived before that); what this Redis is called since it remembers; processes by the time they
# were heard; how many HubSpot has had besides, as an answer told; whether one did lately. One that
# began anew with an old dump is called by its old name, so what Redis calls this run goes with it.
# ARGV: now or nothing, window, amount, time under way, who is to be sent or nothing, a name, this
# process, for how long a process counts.
_NOW: Final = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function write(number) return string.format('%.0f', number) end
"""
# What lies further ahead than any call can be under way was counted by a clock that has been set
# back since: it is as if it had arrived now, or it would count for as long as the clock went back.
TAKE: Final = f"""{_NOW}
local window, amount = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. write(now - window))
local ahead = '(' .. write(now + window + ARGV[4])
for _, sent in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ahead, '+inf')) do
  redis.call('ZADD', KEYS[1], write(now), sent)
end
local left, granted = amount - redis.call('ZCARD', KEYS[1]), 0
local unseen = tonumber(redis.call('GET', KEYS[4]) or 0)
if left > 0 and left <= unseen then
  local quiet = redis.call('EXISTS', KEYS[5]) == 0
    and redis.call('ZCOUNT', KEYS[1], '(' .. write(now), '+inf') == 0
  left = quiet and 1 or 0
else
  left = math.max(0, left - unseen)
end
if left > 0 then
  granted = 1
  if ARGV[5] ~= '' then
    left = left - 1
    redis.call('ZADD', KEYS[1], write(now + ARGV[4]), ARGV[5])
    redis.call('PEXPIRE', KEYS[1], math.ceil((window + ARGV[4]) / 1000) + 1000)
  end
end
redis.call('SET', KEYS[2], ARGV[6], 'NX')
redis.call('PEXPIRE', KEYS[2], {round(NAME_KEPT_S * 1000)})
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
redis.call('ZADD', KEYS[3], write(now), ARGV[7])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. write(now - ARGV[8]))
redis.call('PEXPIRE', KEYS[3], math.ceil(ARGV[8] / 1000) + 1000)
return {{granted, left, redis.call('ZCARD', KEYS[3]), redis.call('GET', KEYS[2]) .. run}}
"""
# ARGV from the ninth: how many HubSpot says are left or nothing, and of how many. What it has had
# and no answered call here explains somebody sent who cannot reach this Redis. Those under way may
# be among them: that is too careful, until they are answered.
COUNT_ANSWER: Final = f"""{_NOW}
redis.call('ZADD', KEYS[1], 'XX', write(now), ARGV[5])
if ARGV[9] ~= '' then
  local answered = redis.call('ZCOUNT', KEYS[1], write(now - ARGV[2]), write(now))
  local unseen = math.max(0, ARGV[10] - ARGV[9] - answered)
  redis.call('SET', KEYS[4], write(unseen), 'PX', math.ceil(ARGV[2] / 1000))
  redis.call('SET', KEYS[5], 1, 'PX', {round(LOOK_AGAIN_S * 1000)})
end
return 1
"""
# ARGV from the ninth: who was sent, and how long ago they were answered; negative: under way.
TELL: Final = f"""{_NOW}
for place = 9, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', write(now - ARGV[place + 1]), ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], math.ceil((ARGV[2] + ARGV[4]) / 1000) + 1000)
return 1
"""
SCRIPTS: Final = (TAKE, COUNT_ANSWER, TELL)
