"""A program that uses Python's Beaker. A request is a line of JSON, and so is its response."""
import json
import sys

from beaker.container import FileNamespaceManager
from beaker.middleware import SessionMiddleware


def app(environ, start_response):
    session = environ['beaker.session']
    request = environ['test.request']
    if request['do'] == 'login':
        session['user'] = request['user']
        session['visits'] = 0
        session.save()
    elif request['do'] == 'visit':
        session['visits'] = session.get('visits', 0) + 1
        session.save()
    elif request['do'] == 'logout':
        session.invalidate()
        session.save()
    elif request['do'] == 'renew':
        session.regenerate_id()
        session.save()
    seen = {key: value for key, value in session.items() if not key.startswith('_')}
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(seen).encode()]


def respond(request):
    environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/', 'test.request': request}
    if request['cookie']:
        environ['HTTP_COOKIE'] = request['cookie']
    headers = []
    options = {'session.' + name: value for name, value in request['options'].items()}
    wrapped = SessionMiddleware(app, options)
    body = b''.join(wrapped(environ, lambda status, found, exc_info=None: headers.extend(found)))
    cookies = [value for name, value in headers if name.lower() == 'set-cookie']
    return {'cookies': cookies, 'seen': json.loads(body)}


def lock(request):
    namespace = FileNamespaceManager(
        request['id'], data_dir=request['options']['data_dir'], digest_filenames=False)
    if request['do'] == 'lock':
        namespace.acquire_write_lock()
    else:
        namespace.release_write_lock()
    # The lock goes with its namespace.
    held.append(namespace)
    return {'cookies': [], 'seen': {}}


held = []
for line in sys.stdin:
    request = json.loads(line)
    answer = lock(request) if request['do'] in ('lock', 'unlock') else respond(request)
    print(json.dumps(answer), flush=True)
