"""The runtime of agent sessions: who takes which, and goes on with it, whatever becomes of one."""
