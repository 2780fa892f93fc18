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

# KEYS of a window: who was sent, by the time in microseconds until which they may arrive (whoever
# was answered arrived before that); how many HubSpot has had besides, as an answer told; whether
# one did lately.
_NOW: Final = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function write(number) return string.format('%.0f', number) end
"""
# One more in each of several windows, or in none of them where one has no room: a call counts in
# up to eight, and one question costs nearly as much as eight.
# KEYS: what this Redis is called since it remembers; processes by the time they were heard; then
# those of each window. One that began anew with an old dump is called by its old name, so what
# Redis calls this run goes with it.
# ARGV: now or nothing, a name, this process, for how long a process counts; then of each window:
# window, amount, time under way, who is to be sent or nothing.
# What lies further ahead than any call can be under way was counted by a clock that has been set
# back since: it is as if it had arrived now, or it would count for as long as the clock went back.
TAKE: Final = f"""{_NOW}
local lefts, granted = {{}}, 1
for n = 1, (#KEYS - 2) / 3 do
  local sent, unseen, heard = KEYS[3 * n], KEYS[3 * n + 1], KEYS[3 * n + 2]
  local window, amount, under_way = ARGV[4 * n + 1], ARGV[4 * n + 2], ARGV[4 * n + 3]
  redis.call('ZREMRANGEBYSCORE', sent, '-inf', '(' .. write(now - window))
  local ahead = '(' .. write(now + window + under_way)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', sent, ahead, '+inf')) do
    redis.call('ZADD', sent, write(now), name)
  end
  local left = amount - redis.call('ZCARD', sent)
  local besides = tonumber(redis.call('GET', unseen) or 0)
  if left > 0 and left <= besides then
    local quiet = redis.call('EXISTS', heard) == 0
      and redis.call('ZCOUNT', sent, '(' .. write(now), '+inf') == 0
    left = quiet and 1 or 0
  else
    left = math.max(0, left - besides)
  end
  if left == 0 then granted = 0 end
  lefts[n] = left
end
for n = 1, #lefts do
  local sent, window, under_way = KEYS[3 * n], ARGV[4 * n + 1], ARGV[4 * n + 3]
  local name = ARGV[4 * n + 4]
  if granted == 1 and name ~= '' then
    lefts[n] = lefts[n] - 1
    redis.call('ZADD', sent, write(now + under_way), name)
    redis.call('PEXPIRE', sent, math.ceil((window + under_way) / 1000) + 1000)
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'NX')
redis.call('PEXPIRE', KEYS[1], {round(NAME_KEPT_S * 1000)})
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
redis.call('ZADD', KEYS[2], write(now), ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. write(now - ARGV[4]))
redis.call('PEXPIRE', KEYS[2], math.ceil(ARGV[4] / 1000) + 1000)
return {{granted, lefts, redis.call('ZCARD', KEYS[2]), redis.call('GET', KEYS[1]) .. run}}
"""
# KEYS: those of each window. ARGV: now or nothing, then of each window: who was answered, window,
# how many HubSpot says are left or nothing, and of how many. What it has had and no answered call
# here explains somebody sent who cannot reach this Redis. Those under way may be among them: that
# is too careful, until they are answered.
COUNT_ANSWER: Final = f"""{_NOW}
for n = 1, #KEYS / 3 do
  local sent, unseen, heard = KEYS[3 * n - 2], KEYS[3 * n - 1], KEYS[3 * n]
  local name, window = ARGV[4 * n - 2], ARGV[4 * n - 1]
  local left, amount = ARGV[4 * n], ARGV[4 * n + 1]
  redis.call('ZADD', sent, 'XX', write(now), name)
  if left ~= '' then
    local answered = redis.call('ZCOUNT', sent, write(now - window), write(now))
    local besides = math.max(0, amount - left - answered)
    redis.call('SET', unseen, write(besides), 'PX', math.ceil(window / 1000))
    redis.call('SET', heard, 1, 'PX', {round(LOOK_AGAIN_S * 1000)})
  end
end
return 1
"""
# KEYS: those of a window. ARGV: now or nothing, window, time under way; then who was sent, and how
# long ago they were answered; negative: under way.
TELL: Final = f"""{_NOW}
for place = 4, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', write(now - ARGV[place + 1]), ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], math.ceil((ARGV[2] + ARGV[3]) / 1000) + 1000)
return 1
"""
SCRIPTS: Final = (TAKE, COUNT_ANSWER, TELL)
