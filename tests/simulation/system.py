"""What the plugins drive: a device each, which refuses what would break it, as real ones do.

An item may name another item of a plugin that is required, and may claim an address. A strict device refuses a
reference to nothing, the removal of what something refers to, and an address that is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

Key = tuple[str, str]
"""Store and key."""


class Refused(Exception):
    """The device does not do it."""


def reference(text: str) -> str | None:
    """The key that a value refers to."""
    return _part(text, "r=")


def address(text: str) -> str | None:
    """The address that a value claims."""
    return _part(text, "u=")


def _part(text: str, mark: str) -> str | None:
    return next((part[len(mark) :] for part in text.split("|") if part.startswith(mark)), None)


@define
class Device:
    """One plugin's part of the system: ``items`` by store and key."""

    owner: str
    directory: str
    items: dict[Key, str] = field(factory=dict)
    claimed: dict[Key, str] = field(factory=dict)


class System:
    """All devices. It outlives the host."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.devices: dict[str, Device] = {}
        self.owners: dict[str, str] = {}
        """Directory → the plugin whose device has its items."""
        self.refusals = 0

    def add(self, owner: str, directory: str) -> Device:
        """A device for a plugin, which owns a directory ("" none)."""
        device = self.devices[owner] = Device(owner, directory)
        if directory:
            self.owners[directory] = owner
        return device

    def put(self, device: Device, key: Key, text: str) -> None:
        """Create or change an item. Raises `Refused`."""
        if not self._owns(device, key):
            device.items[key] = text
            return
        named, claim = reference(text), address(text)
        if self.strict and named is not None and not self._has((key[0], named)):
            self._refuse(f"{key[1]}: there is no {named} to refer to")
        if claim is not None:
            taken = [
                other
                for other, used in device.claimed.items()
                if used == claim and other != key and other[0] == key[0]
            ]
            if taken and self.strict:
                self._refuse(f"{key[1]}: address {claim} belongs to {taken[0][1]}")
        device.items[key] = text
        device.claimed.pop(key, None)
        if claim is not None:
            device.claimed[key] = claim

    def release(self, device: Device, key: Key) -> None:
        """Give up the address of an item."""
        device.claimed.pop(key, None)

    def remove(self, device: Device, key: Key, *, force: bool = False) -> None:
        """Remove an item; what is not there is no error. Raises `Refused`, but for who uses force."""
        if self.strict and not force and self._owns(device, key) and key in device.items:
            user = next(self._users(key), None)
            if user is not None:
                self._refuse(f"{key[1]} is in use by {user[1]}")
        device.items.pop(key, None)
        device.claimed.pop(key, None)

    def wipe(self, device: Device) -> set[str]:
        """A device loses everything, and others lose what referred to that; who lost something."""
        hurt = {device.owner}
        gone = [key for key in device.items if self._owns(device, key)]
        device.items.clear()
        device.claimed.clear()
        while gone:
            store, key = gone.pop()
            for user in list(self._users((store, key))):
                owner = self.owners[user[1][:2]]
                self.devices[owner].items.pop(user, None)
                self.devices[owner].claimed.pop(user, None)
                hurt.add(owner)
                gone.append(user)
        return hurt

    def _owns(self, device: Device, key: Key) -> bool:
        return bool(device.directory) and key[1].startswith(device.directory)

    def _has(self, key: Key) -> bool:
        owner = self.owners.get(key[1][:2])
        return owner is not None and key in self.devices[owner].items

    def _users(self, key: Key) -> Iterator[Key]:
        for device in self.devices.values():
            for other, text in device.items.items():
                if other[0] == key[0] and self._owns(device, other) and reference(text) == key[1]:
                    yield other

    def _refuse(self, why: str) -> None:
        self.refusals += 1
        raise Refused(why)
