"""Keeps a running HAProxy equal to the keys of a store.

    backends/POOL/NAME ──▶ backends ──▶ backends.cfg ─┐
                              ▲ requires              ▼
    frontends/NAME     ──▶ haproxy ────────────▶ haproxy.cfg ──▶ SIGUSR2 to HAProxy's master

Each plugin asks HAProxy about what is new (`admission`) before it replaces its file (`files`); HAProxy itself reads
`haproxy.cfg` alone, which holds both.
"""
