"""Times requests with a session of Python's Beaker, as the comparison asks for it.

usage: beaker_session.py CALLS ROUNDS

Prints what is installed, and then a line `NAME VALUE` for each kind of request: nanoseconds, the least of
ROUNDS. A request goes through SessionMiddleware, with sessions in memory under a signed cookie.
"""

import sys
import time
from importlib.metadata import version

from beaker.middleware import SessionMiddleware


def app(environ, start_response):
    path = environ["PATH_INFO"]
    session = environ["beaker.session"]
    body = "untouched"
    if path == "/read":
        body = session["user"]
    elif path == "/write":
        session["count"] += 1
        session.save()
        body = str(session["count"])
    elif path == "/new":
        session["user"] = "ada"
        session["count"] = 0
        session.save()
    start_response("200 OK", [])
    return [body.encode()]


def main():
    calls, rounds = (int(word) for word in sys.argv[1:])
    print("Beaker " + version("beaker") + ", Python " + sys.version.split()[0])
    site = SessionMiddleware(app, {"session.type": "memory", "session.secret": "s" * 32})

    def ask(path, cookie):
        set_cookie = []

        def start_response(_status, headers, _error=None):
            set_cookie.extend(value for name, value in headers if name == "Set-cookie")

        environ = {"PATH_INFO": path, "HTTP_COOKIE": cookie, "REQUEST_METHOD": "GET"}
        return b"".join(site(environ, start_response)), set_cookie

    cookie = ask("/new", "")[1][0].split(";")[0]
    assert ask("/read", cookie)[0] == b"ada"
    assert ask("/write", cookie)[0] == b"1"
    assert ask("/write", cookie)[0] == b"2"

    def nanos(path):
        begin = time.perf_counter()
        for _ in range(calls):
            ask(path, "" if path == "/new" else cookie)
        return (time.perf_counter() - begin) / calls * 1e9

    for path in ("/untouched", "/read", "/write", "/new"):
        print(path[1:], min(nanos(path) for _ in range(rounds)))


main()
