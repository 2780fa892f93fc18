-- Refuse every load now in flight.
free_first()
ensure_generation()
raise_floor(redis.call('HINCRBY', STATE, 'count', 1))
return tell(0)
