# SPDX-License-Identifier: MIT
"""CPython's own tests without and with something in the environment, compared test by test.

    cpython.py [--jobs N] [--timeout S] [--except FILE] [--match GLOB] [--ignore GLOB] TEST ... -- NAME=VALUE ...

Runs "python3 -m test -v TEST ..." as it is and with the variables set. A test whose result differs
is run again, both sides, up to twice: one that is not steady by itself is no difference. FILE lists
tests, or classes of tests, that may differ: "test.test_x.Class.test_y: reason" a line.
Prints the differences; exit status 1 if there are any.
"""

import os
import re
import subprocess
import sys
import time

PYTHON = "/usr/bin/python3"
# "test_x (test.test_y.Class.test_x)", perhaps the first line of its description, " ... "
LINE = re.compile(r"^\S+ \((test\.[\w.]+)\)(?:\n[^\n]*?)? \.\.\. ", re.M)
RESULT = re.compile(r"(ok|FAIL|ERROR|skipped|expected failure|unexpected success)\b")


def results(tests, variables, jobs, timeout, match, ignore):
    """{test: result}, and the whole text."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NETLEASH_") or k == "NETLEASH_BUILD"}
    env.update(variables)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    args = [PYTHON, "-m", "test", "-v", "-unetwork,-urlfetch,-cpu", "--timeout", str(timeout)]
    if jobs > 1:
        args.append("-j%d" % jobs)
    for name in match:
        args += ["-m", name]
    for name in ignore:
        args += ["-i", name]
    run = subprocess.run(args + tests, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=timeout * 3)
    text = run.stdout.decode("utf-8", "replace")
    found = {}
    for m in LINE.finditer(text):
        # Warnings and lines of our own may stand between the name and its result.
        result = RESULT.search(text, m.end())
        found[m[1]] = result[1] if result else "nothing"
    for name in re.findall(r"^(\S+) (?:crashed|timed out|failed \(env changed\))", text, re.M):
        found.setdefault(name + " as a whole", "crashed or timed out")
    return found, text


def reason(allowed, name):
    """Entries are tests, or classes."""
    return allowed.get(name) or allowed.get(name.rpartition(".")[0])


def main():
    args, variables = sys.argv[1:], {}
    if "--" in args:
        at = args.index("--")
        variables = dict(v.split("=", 1) for v in args[at + 1:])
        args = args[:at]
    jobs, timeout, allowed, match, ignore, tests = 1, 300, {}, [], [], []
    while args:
        arg = args.pop(0)
        if arg == "--jobs":
            jobs = int(args.pop(0))
        elif arg == "--timeout":
            timeout = int(args.pop(0))
        elif arg == "--match":
            match.append(args.pop(0))
        elif arg == "--ignore":
            ignore.append(args.pop(0))
        elif arg == "--except":
            for line in open(args.pop(0)):
                if line.strip() and line[0] != "#":
                    name, why = line.split(":", 1)
                    allowed[name.strip()] = why.strip()
        else:
            tests.append(arg)
    start = time.monotonic()
    without, text_without = results(tests, {}, jobs, timeout, match, ignore)
    middle = time.monotonic()
    with_it, text_with = results(tests, variables, jobs, timeout, match, ignore)
    end = time.monotonic()
    print("%d tests, %d seconds without, %d with" % (len(without), middle - start, end - middle))
    if len(without) < 10:
        print(text_without[-3000:])
        sys.exit("these are too few tests to say anything")

    differing = {n for n in without.keys() | with_it.keys() if without.get(n) != with_it.get(n)}
    for _ in range(2):
        again = sorted(n for n in differing if not reason(allowed, n) and n.startswith("test."))
        if not again:
            break
        print("again:", len(again), "tests")
        first, _ = results(tests, {}, 1, timeout, again, ignore)
        second, text_with = results(tests, variables, 1, timeout, again, ignore)
        for n in again:
            # Not steady without anything: it says nothing about us.
            if first.get(n) == second.get(n) or first.get(n) != without.get(n):
                differing.discard(n)
    bad, used = False, set()
    for n in sorted(differing):
        if reason(allowed, n):
            used |= {n, n.rpartition(".")[0]}
            print("allowed: %s: %s, with: %s (%s)" % (n, without.get(n), with_it.get(n), reason(allowed, n)))
        else:
            bad = True
            print("DIFFERENT: %s: %s, with: %s" % (n, without.get(n), with_it.get(n)))
    # A class may be there for another kernel; a list that nothing here needs is a fault.
    if allowed and not used:
        bad = True
        print("NOT NEEDED: none of the exceptions")
    if bad:
        open("cpython.txt", "w").write(text_with)
        for m in re.finditer(r"^(?:ERROR|FAIL): .*?(?=^={70}|^-{70}\nRan)", text_with, re.M | re.S):
            print(m[0][:1500])
    sys.exit(bad)


main()
