"""Looking in from outside: status, explain, the control socket, health, metrics. Reads; changes nothing."""
