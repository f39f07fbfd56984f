"""What everything else speaks of: keys, entries, changes, faults, errors, the runtime. Imports nothing of ours."""
