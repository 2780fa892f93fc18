-- Returns the wait, and how many are counted in the first account.
local longest = wait()
return {longest, total_of(KEYS[1])}
