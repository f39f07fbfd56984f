"""What authors of plugins and transports implement and are given: hooks, Watch, Event, Transport."""
