"""Telling the plugins: what each has applied (ledger), what a call shows (call), whose turn it is (lane, gate)."""
