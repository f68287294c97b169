"""A receiver of events by HTTP: takes what the relay posts, and fails by script."""
import collections
import http.server
import json
import threading

HANG = "hang"


class Post:
    def __init__(self, headers, body):
        self.headers, self.body = headers, json.loads(body)
        self.key, self.event = headers["Idempotency-Key"], headers["Flashgate-Event"]

    @property
    def user(self):
        return self.body.get("main", {}).get("user")

    @property
    def order(self):
        return self.body.get("main", {}).get("order")


class Receiver:
    """`script(post, nth)` tells what the `nth` post of an event (from 1) is answered: a status, (status, headers, body),
    or HANG. What was answered 2xx is in `taken`."""

    def __init__(self):
        self.lock = threading.Lock()
        self.script = lambda post, nth: 200
        self.posts = collections.Counter()  # by key, whatever they were answered
        self.taken = collections.Counter()  # by key
        self.orders, self.events = {}, []  # {order: user}; [(order, event)], as they were first taken
        self.ends = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                post = Post(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                receiver.answer(self, post)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # the relay hung up, as it may
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/orders"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, handler, post):
        with self.lock:
            self.posts[post.key] += 1
            told = self.script(post, self.posts[post.key])
            status, headers, body = told if isinstance(told, tuple) else (told, {}, "")
            if status != HANG and status < 300:
                if post.key not in self.taken and post.order:
                    self.orders.setdefault(post.order, post.user)
                    self.events.append((post.order, post.event))
                self.taken[post.key] += 1
        if status == HANG:
            self.ends.wait(60)
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    def close(self):
        self.ends.set()
        self.server.shutdown()
        self.server.server_close()
