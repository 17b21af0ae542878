#!/usr/bin/python3 -IS
# SPDX-License-Identifier: MIT
"""profile.py FILE [N]: what count -p wrote, by function: instructions, share, object, function."""

import bisect
import os
import subprocess
import sys


def symbols(path):
    found = {}
    for option in ([], ["-D"]):
        done = subprocess.run(["nm", "--defined-only", "-C", *option, path], capture_output=True, text=True,
                              check=False)
        for line in done.stdout.splitlines():
            part = line.split(None, 2)
            if len(part) == 3 and part[1] in "tTwWiIuV":
                found.setdefault(int(part[0], 16), part[2].split("@")[0])
    return sorted(found.items())


def main():
    counts, maps = [], []
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            part = line.split()
            if len(part) == 2:
                counts.append((int(part[0], 16), int(part[1])))
            elif len(part) >= 5 and "-" in part[0]:
                start, end = (int(x, 16) for x in part[0].split("-"))
                maps.append((start, end, part[5] if len(part) > 5 else "?"))
    first = {}
    for start, _, path in maps:
        first.setdefault(path, start)
    tables, total = {}, {}
    for address, count in counts:
        path = next((m[2] for m in maps if m[0] <= address < m[1]), "?")
        name = "?"
        if path.startswith("/"):
            if path not in tables:
                tables[path] = symbols(path)
                with open(path, "rb") as f:     # ET_EXEC has absolute addresses
                    f.seek(16)
                    if int.from_bytes(f.read(2), "little") == 2:
                        first[path] = 0
            table = tables[path]
            at = bisect.bisect_right(table, (address - first[path], "\x7f")) - 1
            name = table[at][1] if at >= 0 else "?"
        key = (os.path.basename(path), name)
        total[key] = total.get(key, 0) + count
    everything = sum(total.values()) or 1
    print("%9d instructions" % everything)
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    for (path, name), count in sorted(total.items(), key=lambda x: -x[1])[:rows]:
        print("%9d %5.1f%%  %-24s %s" % (count, 100 * count / everything, path, name))


main()
