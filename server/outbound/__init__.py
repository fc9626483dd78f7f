"""What goes out: the one HTTP client with its guard, and what connectors make of actions."""
