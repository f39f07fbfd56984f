"""A web application that follows the feature flags of a store, by a datasync host of its own.

    flags/NAME ──▶ Host ──▶ flags.py ──▶ web.py ──▶ GET /

Two workers serve one socket (`prefork`); each has a host, which it starts after the fork (`__main__`).
"""
