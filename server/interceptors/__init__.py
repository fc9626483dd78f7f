"""What every RPC has around it."""
