"""Parsers that documents have taken over: each does what a word in its document says, in a real parser process.

A parser's own mistakes cannot be had on demand. So the interpreter of a parser process is given a `sitecustomize` that
wraps all parsers: after the real one has read the document, the word is obeyed. Everything else is the product's own.
"""

from pathlib import Path

MEMORY, PROCESSOR, TIME, OUTSIDE = "takeallmemory", "takeallprocessor", "takealltime", "gooutside"
KEPT_IN = "kept in"  # what a document that wants outside turns into; else the ways out that were open

_PROGRAM = f"""
import ctypes, os, socket, struct, subprocess, time
from streams.prepare import parsing
from streams.prepare.parsers.text import parse_text

real_parser = parsing._parser


def native_connection():
    libc = ctypes.CDLL(None, use_errno=True)
    address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(PORT), socket.inet_aton("127.0.0.1"))
    if libc.connect(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0), address, len(address)):
        raise OSError(ctypes.get_errno())


WAYS = {{
    "connection": lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2),
    "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT)),
    "name": lambda: socket.getaddrinfo("localhost", 80),
    "program": lambda: subprocess.run(["/bin/true"]),
    "shell": lambda: os.system("true"),
    "fork": lambda: os.fork() or os._exit(0),
    "native": native_connection,
}}


def open_ways():
    for name, way in WAYS.items():
        try:
            way()
        except OSError:
            continue
        yield name


def obeying(parsed):
    words = parsed.text
    if "{MEMORY}" in words:
        held = []
        while True:  # refused as a whole: what is refused bit by bit has filled the memory of who tests it
            held.append(bytearray(2 * 1024 ** 3))
    while "{PROCESSOR}" in words:
        pass
    if "{TIME}" in words:
        time.sleep(3600)
    if "{OUTSIDE}" in words:
        return parse_text((" ".join(open_ways()) or "{KEPT_IN}").encode())
    return parsed


def _parser(kind):
    real = real_parser(kind)
    return lambda data, **options: obeying(real(data, **options))


parsing._parser = _parser
"""


def take_over_parsers(folder: Path, *, port: int) -> str:
    """Write the program into a folder; return what PYTHONPATH must hold. `port`: who on loopback is asked for."""
    (folder / "sitecustomize.py").write_text(f"PORT = {port}\n{_PROGRAM}")
    return str(folder)
