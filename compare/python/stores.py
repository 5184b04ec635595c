"""Times diskcache and Python's Beaker, as the comparison asks for it.

usage: stores.py DIR SHORTEST LONGEST NAME=ENTRIES...

Loads each store with so many entries of SHORTEST to LONGEST bytes, prints what is installed, and
then answers each line `NAME gets|sets|batches COUNT` on standard input with one line of COUNT
microseconds. A batch is 1,000 sets in one transaction; only diskcache has it.

NAME is `diskcache`, or begins with `beaker-file`: Beaker's file store keeps a whole namespace in one
pickled file, so it is measured with many entries in one namespace, and with few, where it is at home.
"""

import os
import random
import sys
import time
from importlib.metadata import version

import diskcache
from beaker.cache import CacheManager


BATCH = 1000


def key_of(number):
    return "user:%016x:kv" % number


def value_of(rng, lengths):
    return "v" * rng.randint(*lengths)


class Disk:
    def __init__(self, directory, entries, lengths):
        self.cache = diskcache.Cache(directory)
        rng = random.Random(1)
        self.set_many((key_of(number), value_of(rng, lengths)) for number in range(entries))

    def set_many(self, items):
        with self.cache.transact():
            for key, value in items:
                self.cache.set(key, value)

    def get(self, key):
        return self.cache.get(key)

    def set(self, key, value):
        self.cache.set(key, value)


class Beaker:
    def __init__(self, directory, entries, lengths):
        self.cache = CacheManager(type="file", data_dir=directory).get_cache("compare", expire=3600)
        rng = random.Random(1)
        # Under one lock, or each of the entries would write the file anew.
        namespace = self.cache.namespace
        namespace.acquire_write_lock()
        try:
            for number in range(entries):
                # A key as Beaker makes it of a text, and a record as it writes it.
                key = self.cache._get_value(key_of(number)).key
                namespace[key] = (time.time(), 3600, value_of(rng, lengths))
        finally:
            namespace.release_write_lock()

    def get(self, key):
        return self.cache.get_value(key)

    def set(self, key, value):
        self.cache.set_value(key, value)


def timed(store, operation, count, entries, lengths, rng):
    def item():
        return key_of(rng.randrange(entries)), value_of(rng, lengths)

    took = []
    for _ in range(count):
        key, value = item()
        items = [item() for _ in range(BATCH)] if operation == "batches" else []
        found = True
        start = time.perf_counter_ns()
        if operation == "gets":
            found = store.get(key)
        elif operation == "sets":
            store.set(key, value)
        else:
            store.set_many(items)
        took.append((time.perf_counter_ns() - start) / 1000)
        assert found
    return took


def main():
    directory, lengths = sys.argv[1], (int(sys.argv[2]), int(sys.argv[3]))
    stores = {}
    for name, entries in (argument.split("=") for argument in sys.argv[4:]):
        path = os.path.join(directory, name)
        os.mkdir(path)
        kind = Disk if name == "diskcache" else Beaker
        stores[name] = (kind(path, int(entries), lengths), int(entries))
    print(
        "Python %s, diskcache %s, Beaker %s"
        % (sys.version.split()[0], version("diskcache"), version("beaker")),
        flush=True,
    )
    rng = random.Random(2)
    for line in sys.stdin:
        name, operation, count = line.split()
        store, entries = stores[name]
        took = timed(store, operation, int(count), entries, lengths, rng)
        print(" ".join("%.2f" % each for each in took), flush=True)


if __name__ == "__main__":
    main()
