-- Returns the wait, and if it is 0 at which instant one was counted in each account.
local longest = wait()
if longest > 0 then return {longest} end
return {0, unpack(count_one())}
