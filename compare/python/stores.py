"""Times diskcache and Python's Beaker, as the file part of the comparison asks for it.

usage: stores.py DIR ENTRIES SMALL

Prints what is installed, loads each store, and then answers each line `NAME gets|sets COUNT` on
standard input with one line of COUNT microseconds. NAME is one of those printed.

Beaker's file store keeps a whole namespace in one pickled file, so it is measured twice: with
ENTRIES entries in one namespace, and with SMALL, where it is at home.
"""

import os
import random
import sys
import time
from importlib.metadata import version

import diskcache
from beaker.cache import CacheManager


def key_of(number):
    return "user:%016x:kv" % number


def value_of(rng):
    return "v" * rng.randint(100, 256)


class Disk:
    def __init__(self, directory, entries):
        self.cache = diskcache.Cache(directory)
        rng = random.Random(1)
        with self.cache.transact():
            for number in range(entries):
                self.cache.set(key_of(number), value_of(rng))

    def get(self, key):
        return self.cache.get(key)

    def set(self, key, value):
        self.cache.set(key, value)


class Beaker:
    def __init__(self, directory, entries):
        self.cache = CacheManager(type="file", data_dir=directory).get_cache("compare", expire=3600)
        rng = random.Random(1)
        # Under one lock, or each of the entries would write the file anew.
        namespace = self.cache.namespace
        namespace.acquire_write_lock()
        try:
            for number in range(entries):
                # A key as Beaker makes it of a text, and a record as it writes it.
                key = self.cache._get_value(key_of(number)).key
                namespace[key] = (time.time(), 3600, value_of(rng))
        finally:
            namespace.release_write_lock()

    def get(self, key):
        return self.cache.get_value(key)

    def set(self, key, value):
        self.cache.set_value(key, value)


def timed(store, operation, count, entries, rng):
    took = []
    for _ in range(count):
        key = key_of(rng.randrange(entries))
        value = value_of(rng)
        start = time.perf_counter_ns()
        if operation == "gets":
            found = store.get(key)
        else:
            store.set(key, value)
            found = True
        took.append((time.perf_counter_ns() - start) / 1000)
        assert found
    return took


def main():
    directory, entries, small = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    stores = {}
    for name, kind, count in (
        ("diskcache", Disk, entries),
        ("beaker-file", Beaker, entries),
        ("beaker-file-small", Beaker, small),
    ):
        path = os.path.join(directory, name)
        os.mkdir(path)
        stores[name] = (kind(path, count), count)
    print(
        "Python %s, diskcache %s, Beaker %s"
        % (sys.version.split()[0], version("diskcache"), version("beaker")),
        flush=True,
    )
    rng = random.Random(2)
    for line in sys.stdin:
        name, operation, count = line.split()
        store, held = stores[name]
        took = timed(store, operation, int(count), held, rng)
        print(" ".join("%.2f" % each for each in took), flush=True)


if __name__ == "__main__":
    main()
