"""What is left of a session of Python's Beaker when requests meet, as the comparison asks for it.

Prints what is installed, and then a line for each experiment: what is to be left, and what is. The second
request is made in the middle of the first one's handler, so the order of events is always the same.
"""

import sys
from importlib.metadata import version

from beaker.middleware import SessionMiddleware

NAMES = ("late", "left", "right", "user")


class Site:
    """A site whose handlers do what they are handed."""

    def __init__(self, **options):
        options = {"session.type": "memory", "session.key": "id", **options}
        self.app = SessionMiddleware(self.handle, options)

    def handle(self, environ, start_response):
        session = environ["beaker.session"]
        had = " ".join(name for name in NAMES if name in session)
        environ["act"](session)
        start_response("200 OK", [])
        return [had.encode()]

    def ask(self, cookie, act=lambda session: None):
        """What the session had, and the cookie that the browser has then."""
        kept = [cookie]

        def start_response(_status, headers, _error=None):
            for name, value in headers:
                if name == "Set-cookie":
                    kept[0] = value.strip().split(";")[0]

        environ = {"PATH_INFO": "/", "HTTP_COOKIE": cookie, "REQUEST_METHOD": "GET", "act": act}
        return b"".join(self.app(environ, start_response)).decode(), kept[0]


def put(name):
    def act(session):
        session[name] = 1
        session.save()

    return act


def log_out(session):
    session.delete()


def renew(session):
    session.regenerate_id()
    session.save()


def between(site, cookie, other, act):
    """Has another request made between the look of this one and its `act`."""

    def both(session):
        site.ask(cookie, other)
        act(session)

    return both


def signed():
    return Site(**{"session.secret": "s" * 32})


def meets(other, act):
    site = signed()
    _, cookie = site.ask("", put("user"))
    site.ask(cookie, between(site, cookie, other, act))
    return site.ask(cookie)[0]


def a_renewal():
    site = signed()
    _, cookie = site.ask("", put("user"))
    site.ask(cookie, renew)
    return site.ask(cookie)[0]


def a_planted_id():
    site = Site()
    planted = "id=" + "0" * 32
    site.ask(planted, put("user"))
    return site.ask(planted)[0]


def a_second_cookie():
    site = signed()
    _, cookie = site.ask("", put("user"))
    return site.ask(cookie + "; id=tossed")[0]


def main():
    print("Beaker " + version("beaker") + ", Python " + sys.version.split()[0])
    look = lambda session: None
    for experiment, sound, left in (
        ("two requests that overlap", "left right user", meets(put("left"), put("right"))),
        ("a write, and a request that only reads", "left user", meets(put("left"), look)),
        ("a write after a logout, for whoever has kept the cookie", "", meets(log_out, put("late"))),
        ("the old id after a renewal", "", a_renewal()),
        ("an id that somebody planted, no secret", "", a_planted_id()),
        ("a tossed cookie behind the good one", "user", a_second_cookie()),
    ):
        verdict = "kept" if left == sound else "LOST"
        print(f"{experiment}: wanted '{sound}', found '{left}': {verdict}")


main()
