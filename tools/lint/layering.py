#!/usr/bin/env python3
"""A room includes only the rooms it may know.

base <- catalog <- fleet <- {tenancy, request} <- {placement, fairness, planning, metering, upkeep}
     <- control <- edges <- {simulation, fakes} <- app

Rooms in braces do not know one another. An edge knows the whole core and, of the other edges,
only those that EDGE_TO_EDGE names. An edge's tests wire a small world as `app` does, and so may include
every edge; what they share is a header `*_world.h`.
"""

import re
from pathlib import Path
from typing import Iterator

from source import Finding, files_under, main, read

CORE_LAYERS = [
    {"base"},
    {"catalog"},
    {"fleet"},
    {"tenancy", "request"},
    {"placement", "fairness", "planning", "metering", "upkeep"},
    {"control"},
]
CORE = set().union(*CORE_LAYERS)

EDGE_TO_EDGE = {
    "journal": set(),
    "solver": set(),
    "device": set(),
    "agent": {"device"},
    "wire": set(),
    "tls": set(),
    "service": {"journal"},
    "gateway": {"service", "wire", "tls"},
    # The client implements the agent's transport port over HTTP.
    "client": {"wire", "agent", "tls"},
    "kubernetes": {"client", "wire"},
}

# The guard is loaded into other people's processes: it knows nothing of ours, not even base.
ALONE = {"guard"}
WORLDS = {"simulation", "fakes"}
# The stand-in for the CUDA driver speaks the binary interface that the guard declares; the node's side
# of sharing reads and writes the memory that it lays out.
TO_ALONE = {"fakes": {"guard"}, "device": {"guard"}, "agent": {"guard"}}


def allowed_includes() -> dict[str, set[str]]:
    """Room -> the other rooms it may include."""
    allowed: dict[str, set[str]] = {}
    below: set[str] = set()
    for layer in CORE_LAYERS:
        for room in layer:
            allowed[room] = set(below)
        below |= layer
    for room, edges in EDGE_TO_EDGE.items():
        allowed[room] = CORE | edges | TO_ALONE.get(room, set())
    for room in ALONE:
        allowed[room] = set()
    for room in WORLDS:
        allowed[room] = CORE | set(EDGE_TO_EDGE) | TO_ALONE.get(room, set())
    # console/embedded.h lists the files of the web console that the build embeds.
    allowed["app"] = CORE | set(EDGE_TO_EDGE) | WORLDS | {"console"}
    return allowed


_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
_TEST = re.compile(r"(?:_test\.cpp|_world\.h)$")
_SOURCE = re.compile(r"^src/([^/]+)/.+\.(?:h|cpp|c)$")


def check(root: Path) -> Iterator[Finding]:
    allowed = allowed_includes()
    for name in files_under(root):
        match = _SOURCE.match(name)
        if not match:
            continue
        room = match.group(1)
        if room not in allowed:
            yield Finding(name, 0, f'room "{room}" has no place in tools/lint/layering.py')
            continue
        known = allowed[room]
        if room in EDGE_TO_EDGE and _TEST.search(name):
            known = CORE | set(EDGE_TO_EDGE) | TO_ALONE.get(room, set())
        for number, line in enumerate(read(root, name).splitlines(), 1):
            include = _INCLUDE.match(line)
            if not include:
                continue
            target = include.group(1).split("/")[0] if "/" in include.group(1) else ""
            if not target or ".." in include.group(1):
                yield Finding(name, number, f'write "{include.group(1)}" from src/, as "{room}/…"')
            elif target != room and target not in known:
                yield Finding(name, number, f"{room} may not include {target}")


if __name__ == "__main__":
    main("layering", check)
