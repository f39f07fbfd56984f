"""The transports that come with the host, one module or package a store; they never know each other."""
