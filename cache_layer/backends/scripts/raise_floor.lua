-- Refuse every load now in flight.
free_first()
ensure_generation()
redis.call('HSET', STATE, 'floor', redis.call('HINCRBY', STATE, 'count', 1))
return tell(0)
