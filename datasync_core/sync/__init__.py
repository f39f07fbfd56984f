"""Keeping a copy true: reflector (reads a store), inbox (hands over), replica (the copy), publisher (writes)."""
