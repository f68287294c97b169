"""A PostgreSQL of the test's own: tests/fixtures/postgresql, and what another program sees in it."""
import subprocess

import psycopg2

from .programs import ROOT

FIXTURE = ROOT / "tests" / "fixtures" / "postgresql"


class Postgres:
    """Initialised by the first start; stopped, and its folder removed, when this program ends, however it ends."""

    def __init__(self, **settings):
        self.name = "postgresql"
        arguments = [f"{name}={value}" for name, value in settings.items()]
        self.process = subprocess.Popen([FIXTURE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = None

    def _does(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        assert answer[:1] == ["ok"], f"{self.name}: {command}: {answer}"
        return answer[1:]

    def start(self):
        self.folder, = self._does("start")
        return self

    def kill(self):
        """kill -9 of the server and everything it started; `start` brings it back with what it had promised."""
        self._does("kill")

    @property
    def connect(self):
        return f"host={self.folder} user=postgres dbname=postgres"

    def rows(self, statement, *values):
        connection = psycopg2.connect(self.connect)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def finish(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        return [] if code == 0 else [f"{self.name} ended with {code}"]
