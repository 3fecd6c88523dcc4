"""The Lua that runs inside the server: what has to look at a run and to change it in one step.

The keys of an agent, all in one slot, after the prefix `pais:{agent}:`

- `run:<owner>:<run>`: a hash, what is known of a run; `d:<name>` are its details
- `log:<owner>:<run>`: a stream of what the run said. An entry holds some events, and its id is the number of the event
  after its last, so that an entry which is sent again is refused by its id.
- `runs:<owner>:<protocol>`: a sorted set of the owner's latest runs, by the microsecond of their last change; one for each
  protocol, so that the many of one leave room for those of another
- `turns:<owner>:<session>`: a list of those who want to work on a session, `<replica>:<run>`; the first one does
- `once:<owner>:<key>`: which run an `Idempotency-Key` belongs to
- `replica:<id>`: there while the replica lives; `replicas`: all by their last sign of life; `owned:<id>`: the runs,
  `<owner>:<run>`, that a replica has not ended; `mail:<id>`: a stream of what others want of it

Names that hold no colon come first, so that no two of these can be the same. The scripts find some keys out on their
own, such as those of a dead replica's runs: they are in the slot that `KEYS` leads to.

A script may end in the middle: while a cluster moves the slot key by key, a node takes up a script whose `KEYS` it has, and
fails it at the first other key that has gone. Whoever asked does so again, so each script finishes what it finds half done.
"""

import hashlib
from dataclasses import dataclass

__all__ = [
    "AMEND",
    "APPEND",
    "BEAT",
    "CLAIM",
    "CLOSE",
    "EXPIRY_SECONDS",
    "FORGET",
    "LOG",
    "LOOK",
    "OPEN",
    "Script",
]

# A replica that has given no sign of life for so long is dead. One that lives gives three within this time.
EXPIRY_SECONDS = 9
# How many runs of one owner and protocol a listing shows; earlier ones are found by their ids.
_MOST_LISTED = 10_000

# Every script has the same first arguments.
_COMMON = """
local prefix, me, trusting, lost, ttl, horizon = unpack(ARGV, 1, 6)
local place = 7
local final = {completed = true, failed = true, cancelled = true, incomplete = true}

local function take()
  place = place + 1
  return ARGV[place - 1]
end

local function take_list()
  local first, count = place + 1, tonumber(ARGV[place])
  place = first + count
  return first, count
end

-- Runs the commands that come next, and returns their replies.
local function run_commands()
  local replies = {}
  for number = 1, tonumber(take()) do
    local first, count = take_list()
    replies[number] = redis.call(unpack(ARGV, first, first + count - 1))
  end
  return replies
end

local function now()
  local time = redis.call('TIME')
  return string.format('%d%06d', time[1], time[2])
end

-- After a time in which nobody could reach the server, everybody seems dead to those who are back first.
local function is_alive(replica)
  return trusting == '0' or replica == me or redis.call('EXISTS', prefix .. 'replica:' .. replica) == 1
end

local function mail(replica, ...)
  local box = prefix .. 'mail:' .. replica
  redis.call('XADD', box, 'MAXLEN', '~', '1000', '*', ...)
  redis.call('EXPIRE', box, 60)
end

local function wake(ticket)
  local replica, run = string.match(ticket, '^([^:]*):(.*)$')
  mail(replica, 'kind', 'turn', 'run', run)
end

local function index_of(owner, record)
  return prefix .. 'runs:' .. owner .. ':' .. (redis.call('HGET', record, 'protocol') or '')
end

-- Notes that a run has changed, with its new fields.
local function touch(owner, run, ...)
  local record, moment = prefix .. 'run:' .. owner .. ':' .. run, now()
  local index = index_of(owner, record)
  redis.call('HSET', record, 'updated_at', moment, ...)
  redis.call('ZADD', index, moment, run)
  redis.call('EXPIRE', index, horizon)
end

local function finish(owner, run, status, ending)
  touch(owner, run, 'status', status, 'ending', ending)
  redis.call('EXPIRE', prefix .. 'run:' .. owner .. ':' .. run, ttl)
end

local lose

-- Passes over those who are dead, and returns the ticket of who has the session then.
local function advance(turns, owner)
  while true do
    local head = redis.call('LINDEX', turns, 0)
    if not head then
      return nil
    end
    local replica, run = string.match(head, '^([^:]*):(.*)$')
    if is_alive(replica) then
      return head
    end
    redis.call('LPOP', turns)
    lose(replica, owner, run)
  end
end

-- Leaves the line; whoever is first after that, and was not before, hears of it.
local function leave(turns, owner, ticket)
  if redis.call('LINDEX', turns, 0) == ticket then
    redis.call('LPOP', turns)
    local head = advance(turns, owner)
    if head then
      wake(head)
    end
  else
    redis.call('LREM', turns, 0, ticket)
  end
end

-- Ends a run whose replica will not, unless it has ended.
lose = function(replica, owner, run)
  local record = prefix .. 'run:' .. owner .. ':' .. run
  local known = redis.call('HMGET', record, 'replica', 'status', 'session', 'once')
  if known[1] ~= replica or final[known[2]] then
    return
  end
  local log = prefix .. 'log:' .. owner .. ':' .. run
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  local number = last and tonumber(string.match(last[1], '^%d+')) or 0
  redis.call('XADD', log, string.format('%d-1', number + 1), 'events', '[' .. lost .. ']')
  redis.call('EXPIRE', log, ttl)
  finish(owner, run, 'failed', lost)
  if known[4] then
    -- As long as the run: of no use beyond.
    redis.call('EXPIRE', known[4], ttl)
  end
  leave(prefix .. 'turns:' .. owner .. ':' .. known[3], owner, replica .. ':' .. run)
end

local function sign_of_life()
  redis.call('SET', prefix .. 'replica:' .. me, 1, 'EX', EXPIRY)
  redis.call('ZADD', prefix .. 'replicas', now(), me)
  redis.call('EXPIRE', prefix .. 'replicas', horizon)
end

-- Whether a run, of the status `status`, may still write to its session.
local function standing(policy, turns, ticket, status)
  if final[status] then
    return 'over'
  end
  local head = policy ~= 'allow' and redis.call('LINDEX', turns, 0)
  return head and head ~= ticket and 'taken' or nil
end

-- Adds the entries that come next to a log. One that is there already is refused by its id.
local function write_log(log, expiry)
  local oldest = take()
  local count = tonumber(take())
  for _ = 1, count do
    local id, events = take(), take()
    redis.pcall('XADD', log, id, 'events', events)
  end
  if count > 0 then
    if oldest ~= '' then
      redis.call('XTRIM', log, 'MINID', oldest)
    end
    redis.call('EXPIRE', log, expiry)
  end
end
""".replace("EXPIRY", str(EXPIRY_SECONDS))

_OPEN = """
local record, turns = KEYS[1], KEYS[2]
local owner, run, policy, once, claim = take(), take(), take(), take(), take()
local ticket = me .. ':' .. run
local status = redis.call('HGET', record, 'status')
if final[status] then
  return {'over', redis.call('HGET', record, 'ending')}
end
if once ~= '' then
  local claimed = redis.call('GET', once)
  if claimed and claimed ~= claim then
    return {'claimed'}
  end
end
local new_status = 'in_progress'
if policy ~= 'allow' then
  local first = redis.call('LINDEX', turns, 0)
  local head = advance(turns, owner)
  if head and head ~= ticket then
    if policy == 'reject' then
      return {'busy'}
    end
    if head ~= first then
      wake(head)
    end
    new_status = 'queued'
  end
  if not head or (new_status == 'queued' and not redis.call('LPOS', turns, ticket)) then
    redis.call('RPUSH', turns, ticket)
  end
  redis.call('EXPIRE', turns, horizon)
end
local first, count = take_list()
if not status then
  redis.call('HSET', record, unpack(ARGV, first, first + count - 1))
  local owned = prefix .. 'owned:' .. me
  redis.call('SADD', owned, owner .. ':' .. run)
  redis.call('EXPIRE', owned, horizon)
  if once ~= '' then
    redis.call('SET', once, claim, 'EX', horizon)
  end
end
if status ~= new_status then
  touch(owner, run, 'status', new_status)
  redis.call('EXPIRE', record, horizon)
  sign_of_life()
end
if new_status == 'queued' then
  return {'queued'}
end
local replies = run_commands()
return {'open', replies[1], replies[2]}
"""

_APPEND = """
local record, turns = KEYS[1], KEYS[2]
local run, policy, step = take(), take(), take()
local known = redis.call('HMGET', record, 'status', 'step', 'ending')
local refusal = standing(policy, turns, me .. ':' .. run, known[1])
if refusal then
  return {refusal, known[3]}
end
if tonumber(known[2] or '0') >= tonumber(step) then
  return {'done'}
end
run_commands()
if known[1] then
  redis.call('HSET', record, 'step', step)
end
return {'done'}
"""

_LOG = """
local record, log = KEYS[1], KEYS[2]
if final[redis.call('HGET', record, 'status')] then
  return {'over'}
end
write_log(log, horizon)
return {'done'}
"""

_CLOSE = """
local record, turns, log = KEYS[1], KEYS[2], KEYS[3]
local owner, run, policy, closer, status, ending = take(), take(), take(), take(), take(), take()
local once, claim, keeps, keeps_claim = take(), take(), take(), take()
local ticket = me .. ':' .. run
local known = redis.call('HMGET', record, 'status', 'closer', 'ending')

local function step_down()
  redis.call('SREM', prefix .. 'owned:' .. me, owner .. ':' .. run)
  if policy ~= 'allow' then
    leave(turns, owner, ticket)
  end
end

if final[known[1]] and known[2] == closer then
  step_down()
  return {'done'}
end
local first, count = take_list()
if final[known[1]] then
  return {'over', known[3]}
end
if not known[1] and count == 0 then
  return {'missing'}
end
if tonumber(ARGV[place]) > 0 then
  local refusal = standing(policy, turns, ticket, known[1])
  if refusal then
    return {refusal}
  end
end
run_commands()
if keeps == '1' then
  if not known[1] then
    redis.call('HSET', record, unpack(ARGV, first, first + count - 1))
  end
  write_log(log, ttl)
  redis.call('HSET', record, 'closer', closer)
  finish(owner, run, status, ending)
  local index = index_of(owner, record)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%d', now() - horizon * 1000000))
  redis.call('ZREMRANGEBYRANK', index, 0, -MOST_LISTED - 1)
else
  -- Who follows it from elsewhere reads its end first.
  write_log(log, 60)
  redis.call('EXPIRE', log, 60)
  redis.call('ZREM', index_of(owner, record), run)
  redis.call('DEL', record)
end
if once ~= '' and redis.call('GET', once) == claim then
  if keeps_claim == '1' then
    redis.call('EXPIRE', once, ttl)
  else
    redis.call('DEL', once)
  end
end
step_down()
return {'done'}
""".replace("MOST_LISTED", str(_MOST_LISTED))

_LOOK = """
local record = KEYS[1]
local owner, run, is_known_here = take(), take(), take()
local known = redis.call('HMGET', record, 'replica', 'status')
if known[1] and not final[known[2]] then
  if known[1] == me and is_known_here == '0' or not is_alive(known[1]) then
    lose(known[1], owner, run)
  end
end
return redis.call('HGETALL', record)
"""

_BEAT = """
sign_of_life()
redis.call('EXPIRE', prefix .. 'owned:' .. me, horizon)
local silent = string.format('(%d', now() - EXPIRY * 1000000)
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'replicas', '-inf', silent)) do
  if not is_alive(replica) then
    local owned = prefix .. 'owned:' .. replica
    -- A few at a time: whatever is left is for the next beat.
    for _ = 1, 100 do
      local entry = redis.call('SRANDMEMBER', owned)
      if not entry then
        redis.call('ZREM', prefix .. 'replicas', replica)
        break
      end
      local owner, run = string.match(entry, '^([^:]*):(.*)$')
      lose(replica, owner, run)
      redis.call('SREM', owned, entry)
    end
  end
end
local states = {}
while place <= #ARGV do
  local known = redis.call('HMGET', take(), 'status', 'ending')
  states[#states + 1] = known[1] or ''
  states[#states + 1] = known[2] or ''
end
return states
""".replace("EXPIRY", str(EXPIRY_SECONDS))

_CLAIM = """
local claim, patience = take(), take()
local held = redis.call('GET', KEYS[1])
if held and held ~= claim then
  return held
end
redis.call('SET', KEYS[1], claim, 'EX', patience)
return ''
"""

_AMEND = """
local record, owner, run = KEYS[1], take(), take()
if redis.call('EXISTS', record) == 0 then
  return {}
end
touch(owner, run, unpack(ARGV, place))
return redis.call('HGETALL', record)
"""

_FORGET = """
local record, log, owner, run = KEYS[1], KEYS[2], take(), take()
local once = redis.call('HGET', record, 'once')
if once then
  local claim = redis.call('GET', once)
  if claim and string.sub(claim, 1, #run + 1) == run .. ' ' then
    redis.call('DEL', once)
  end
end
redis.call('ZREM', index_of(owner, record), run)
redis.call('EXPIRE', log, 60)
return redis.call('DEL', record)
"""


@dataclass(frozen=True)
class Script:
    """A script, and the digest under which the server knows it once it has seen it."""

    text: str
    digest: str


def _script(body: str) -> Script:
    text = _COMMON + body
    # The server's own name for a script (EVALSHA), not a matter of security.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


OPEN, APPEND, LOG, CLOSE = _script(_OPEN), _script(_APPEND), _script(_LOG), _script(_CLOSE)
LOOK, BEAT, CLAIM = _script(_LOOK), _script(_BEAT), _script(_CLAIM)
AMEND, FORGET = _script(_AMEND), _script(_FORGET)
