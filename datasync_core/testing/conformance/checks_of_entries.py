"""Checks of keys and values: they come back as they were written."""

from __future__ import annotations

from datasync_core.model.entries import Entry, Put
from datasync_core.testing.conformance.rules import Broken, Rule, holds, require
from datasync_core.testing.conformance.site import Site, doc

_KEYS = [
    *(
        "a b",
        " a",
        "ü/ß",
        "日本/語",
        "100%",
        "%41",
        "%2F",
        "a+b",
        "q'uote\"",
        "a;b",
        "a?b=c#d",
        "*",
        "[x]",
        "_",
    ),
    *("back\\slash", "🎈/🎈", "A/a", "x=y,z:w@v", "-", "~", "null", "0", "deep/" * 20 + "er"),
]
_DOCUMENTS = [b"{}", b"[]", b"0", b"-1.5", b"true", b"null", b'""', b'"text"', b'{"a": [1, {"b": null}]}']
_LONG = 2000  # bytes of a key where no limit is declared


class EntryChecks:
    """Part of `TransportConformance`."""

    largest: int
    unwritable: str

    @holds(Rule.ENTRIES)
    def test_keys_come_back_as_they_were_written(self, site: Site) -> None:
        limit = site.can.key_bytes or _LONG
        names = [
            name
            for name in _KEYS
            if len((site.prefix + name).encode()) <= limit and not set(name) & set(self.unwritable)
        ]
        streamed = site.copy().read()
        for number, name in enumerate(names):
            site.put(name, doc(number))
        streamed.follow()
        read = site.copy().read()
        read.check()
        for name in names:
            site.delete(name)
        read.follow()

    @holds(Rule.ENTRIES)
    def test_values_may_be_any_document(self, site: Site) -> None:
        self._values_come_back(
            site,
            {
                **{f"v{i}": value for i, value in enumerate(_DOCUMENTS)},
                "unicode": '{"ß": "日本 🎈"}'.encode(),
                "large": b'"' + b"x" * (self.largest - 2) + b'"',
            },
        )

    @holds(Rule.ENTRIES)
    def test_raw_values_may_be_any_bytes(self, site: Site) -> None:
        if site.can.raw:
            blobs = [b""] * site.can.empty + [b"\0", bytes(range(256)), b"\r\n", b"{", b"\xff" * self.largest]
            self._values_come_back(site, {f"v{i}": value for i, value in enumerate(blobs)})

    @holds(Rule.ENTRIES)
    def test_each_subscription_has_entries_of_its_own(self, site: Site) -> None:
        one, two = site.copy().read(), site.copy().read()
        site.put("a", doc(1))
        one.follow()
        two.follow()
        self._are_different(site, one.entries, two.entries)
        self._are_different(site, site.copy().read().entries, site.copy().read().entries)

    @holds(Rule.CAPABILITIES)
    def test_keys_may_be_as_long_as_declared_and_no_longer(self, site: Site) -> None:
        limit = site.can.key_bytes
        name = "k" * ((limit or _LONG) - len(site.prefix))
        require(bool(name), f"key_bytes is {limit}, too short for any use")
        streamed = site.copy().read()
        try:
            site.put(name, doc(1))
        except Exception as error:
            size = len(site.prefix + name)
            raise Broken(f"the store takes no key of {size} bytes; declare its key_bytes") from error
        streamed.follow()
        site.copy().read().check()
        writer = site.writer()
        if limit is not None and writer is not None:
            site.refused(writer, f"a key of {limit + 1} bytes", Put(name + "k", doc(1)))

    @holds(Rule.CAPABILITIES)
    def test_any_bytes_are_refused_where_raw_is_not_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is not None and not site.can.raw:
            for value in (b"", b"\xff\x00", b"{"):
                site.refused(writer, f"raw (the value {value!r})", Put("a", value))

    @holds(Rule.CAPABILITIES)
    def test_values_without_bytes_are_refused_where_empty_is_not_declared(self, site: Site) -> None:
        writer = site.writer()
        if writer is not None and site.can.raw and not site.can.empty:
            site.refused(writer, "empty (a value of no bytes)", Put("a", b""))

    @holds(Rule.ENTRIES)
    def test_keys_that_cannot_be_are_refused(self, site: Site) -> None:
        writer = site.writer()
        if writer is not None:
            for character in self.unwritable:
                site.refused(writer, f"a key with {character!r}", Put(f"a{character}b", doc(1)))

    def _values_come_back(self, site: Site, values: dict[str, bytes]) -> None:
        streamed = site.copy().read()
        for name, value in values.items():
            site.put(name, value)
        streamed.follow()
        site.copy().read().check()

    def _are_different(self, site: Site, one: dict[str, Entry], two: dict[str, Entry]) -> None:
        shared = one[site.prefix + "a"] is two[site.prefix + "a"]
        require(
            not shared, "two subscriptions gave the same Entry object; make one for each, the host marks it"
        )
