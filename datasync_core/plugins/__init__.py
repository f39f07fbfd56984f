"""Who is installed: discovery, loading, validation, the order. pluggy and importlib_metadata stay in here."""
