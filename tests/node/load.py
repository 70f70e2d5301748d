"""Questions at a steady pace, of three kinds of client, and how many of them got no answer."""
import socket, threading, time

import dns.exception, dns.message, dns.query, dns.rdatatype

EVERY = 0.01  # seconds between two questions of a kind
PATIENCE = 2  # seconds until a question is lost


class Load:
    """Asks from when it is made until `stop`."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.over = threading.Event()
        self.counts = {"new sockets": [0, 0], "TCP": [0, 0], "a lasting socket": [0, 0]}
        asks = {"new sockets": self._new, "TCP": self._tcp}
        self.threads = [threading.Thread(target=self._pace, args=(kind, ask)) for kind, ask in asks.items()]
        self.threads.append(threading.Thread(target=self._lasting))
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def lost(self):
        """How many questions of each kind got no answer, or another than NOERROR with records."""
        return {kind: asked - answered for kind, (asked, answered) in self.counts.items()}

    def _question(self):
        return dns.message.make_query(self.name, dns.rdatatype.A)

    def _pace(self, kind, ask):
        """Each question in a thread of its own: one that waits holds up no other."""
        threads = []
        while not self.over.is_set():
            thread = threading.Thread(target=self._one, args=(kind, ask))
            thread.start()
            threads.append(thread)
            time.sleep(EVERY)
        for thread in threads:
            thread.join()

    def _one(self, kind, ask):
        self.counts[kind][0] += 1
        try:
            reply = ask(self._question())
        except (dns.exception.DNSException, OSError, EOFError):
            return
        self.counts[kind][1] += bool(reply.rcode() == 0 and reply.answer)

    def _new(self, question):
        return dns.query.udp(question, self.server, timeout=PATIENCE)

    def _tcp(self, question):
        return dns.query.tcp(question, self.server, timeout=PATIENCE)

    def _lasting(self):
        """One socket for all, as of a client that keeps its own."""
        counts = self.counts["a lasting socket"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lasting:
            lasting.connect((self.server, 53))
            reader = threading.Thread(target=self._read, args=(lasting, counts))
            reader.start()
            while not self.over.is_set():
                counts[0] += 1
                lasting.send(self._question().to_wire())
                time.sleep(EVERY)
            reader.join()

    def _read(self, lasting, counts):
        lasting.settimeout(PATIENCE)
        while True:
            try:
                reply = dns.message.from_wire(lasting.recv(4096))
            except TimeoutError:
                if self.over.is_set():
                    return
                continue
            except OSError:
                continue
            counts[1] += bool(reply.rcode() == 0 and reply.answer)
