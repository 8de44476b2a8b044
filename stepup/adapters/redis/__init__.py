"""What is spent: challenges, codes, attempts, time steps, revocations; one Lua script each."""
