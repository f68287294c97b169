"""A Kafka cluster: librdkafka's mock in a small program of the tests' own."""
import collections
import subprocess

from .native import compile_here

Message = collections.namedtuple("Message", "partition offset key event_id event token")


class Kafka:
    def __init__(self, folder):
        self.name = "kafka"
        self.process = subprocess.Popen([str(compile_here(folder, "kafka_mock.c", "kafka_mock", libraries=["rdkafka"]))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.brokers = self.line()

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the mock of Kafka has ended"
        return line.rstrip("\n")

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or lines[-1] not in ("end", "done"):
            lines.append(self.line())
        return lines[:-1]

    @property
    def messages(self):
        """All there are, in each partition's order."""
        found = [Message(int(partition), int(offset), *words)
                 for partition, offset, *words in (line.split(" ") for line in self.ask("dump"))]
        return sorted(found, key=lambda message: (message.partition, message.offset))

    def down(self):
        self.ask("down")

    def up(self):
        self.ask("up")

    def finish(self):
        self.process.stdin.close()
        return [] if self.process.wait(20) == 0 else ["the mock of Kafka ended badly"]
