# SPDX-License-Identifier: MIT
"""CPython's own tests without and with something in the environment, compared test by test.

    cpython.py [--jobs N] [--timeout S] [--except FILE] [--match GLOB] [--ignore GLOB] TEST ...
        -- NAME=VALUE ... [-- NAME=VALUE ...]

Runs "python3 -m test -v TEST ..." as it is and with each group of variables set; of a package (test_asyncio)
each module in a process of its own, so that none waits for what another has left. A test whose result
differs is run again, both sides, up to twice: one that is not steady by itself is no difference. A module
that crashes or exceeds its time (--timeout S each) is a difference where the other side's does not. FILE
lists tests, or classes of tests, that may differ with the first group: "test.test_x.Class.test_y: why".
Prints the differences; exit status 1 if there are any.
"""

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3"
SUITE = subprocess.run([PYTHON, "-c", "import test; print(test.__path__[0])"], stdout=subprocess.PIPE,
                       check=True).stdout.decode().strip()
# "test_x (test.test_y.Class.test_x)", perhaps the first line of its description, " ... "
LINE = re.compile(r"^\S+ \((test\.[\w.]+)\)(?:\n[^\n]*?)? \.\.\. ", re.M)
RESULT = re.compile(r"(ok|FAIL|ERROR|skipped|expected failure|unexpected success)\b")


def modules(tests):
    """Lists of tests that share a process: modules together, each of a package's by itself."""
    single = [t for t in tests if not os.path.isdir(os.path.join(SUITE, t))]
    lists = [single] if single else []
    for test in tests:
        if test not in single:
            files = sorted(os.listdir(os.path.join(SUITE, test)))
            lists += [[test + "." + f[:-3]] for f in files if f.startswith("test_") and f.endswith(".py")]
    return lists


def results(tests, variables, **options):
    """{test: result}, and the whole text."""
    found, text = {}, ""
    for some in modules(tests):
        if options["match"] and "." in some[0] and not any(n.startswith("test." + some[0] + ".") for n in options["match"]):
            continue
        more, said = run(some, variables, **options)
        found.update(more)
        text += said
    return found, text


def run(tests, variables, jobs, timeout, match, ignore):
    """The same for tests that share a process."""
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
    found = {}
    # A file, not a pipe: what a child has left running would hold that open.
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(args + tests, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                              start_new_session=True) as child:
            try:
                child.wait(timeout=timeout * len(tests) + 60)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    # 0: good, 2: some failed, 3: something was left behind; less is a signal, 1 an error of its own
    if child.returncode not in (0, 2, 3):
        found[" ".join(tests) + " as a whole"] = "exit status %d" % child.returncode
    for m in LINE.finditer(text):
        # Warnings and lines of our own may stand between the name and its result.
        result = RESULT.search(text, m.end())
        found[m[1]] = result[1] if result else "nothing"
    for name in re.findall(r"^(\S+) (?:crashed|timed out)\b", text, re.M):
        found[name + " as a whole"] = "crashed or timed out"
    return found, text


def reason(allowed, name):
    """Entries are tests, or classes."""
    return allowed.get(name) or allowed.get(name.rpartition(".")[0])


def compare(label, tests, variables, options, first_without, first_with, allowed):
    """The faults found, as lines; an empty list is good."""
    without, _ = first_without
    with_it, text = first_with
    faults, used = [], False
    differing = {n for n in without.keys() | with_it.keys() if without.get(n) != with_it.get(n)}
    for _ in range(2):
        again = sorted(n for n in differing if not reason(allowed, n) and n.startswith("test."))
        if not again:
            break
        print("%s: again: %s" % (label, " ".join(again)))
        options = dict(options, jobs=1, match=again)
        one, _ = results(tests, {}, **options)
        other, text = results(tests, variables, **options)
        for n in again:
            # Not steady without anything: it says nothing about us.
            if one.get(n) == other.get(n) or one.get(n) != without.get(n):
                differing.discard(n)
    for n in sorted(differing):
        if reason(allowed, n):
            used = True
            print("%s: %s: %s, with: %s (%s)" % (label, n, without.get(n), with_it.get(n),
                                                 reason(allowed, n)))
        else:
            faults.append("%s: DIFFERENT: %s: %s, with: %s" % (label, n, without.get(n), with_it.get(n)))
    # A class may be there for another kernel; a list that nothing here needs is a fault.
    if allowed and not used:
        faults.append("%s: none of the exceptions is needed" % label)
    if faults:
        for m in re.finditer(r"^(?:ERROR|FAIL): .*?(?=^={70}|^-{70}\nRan)", text, re.M | re.S):
            print(m[0][:1500])
    return faults


def main():
    groups = []
    args = sys.argv[1:]
    while "--" in args:
        at = len(args) - 1 - args[::-1].index("--")
        groups.insert(0, dict(v.split("=", 1) for v in args[at + 1:]))
        args = args[:at]
    options = {"jobs": 1, "timeout": 300, "match": [], "ignore": []}
    allowed, tests = {}, []
    while args:
        arg = args.pop(0)
        if arg in ("--jobs", "--timeout"):
            options[arg[2:]] = int(args.pop(0))
        elif arg in ("--match", "--ignore"):
            options[arg[2:]].append(args.pop(0))
        elif arg == "--except":
            for line in open(args.pop(0)):
                if line.strip() and line[0] != "#":
                    name, why = line.split(":", 1)
                    allowed[name.strip()] = why.strip()
        else:
            tests.append(arg)
    # They wait more than they compute: all sides at once.
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(groups) + 1) as pool:
        runs = [pool.submit(results, tests, v, **options) for v in [{}, *groups]]
        without, *withs = [r.result() for r in runs]
    print("%d tests, %d seconds" % (len(without[0]), time.monotonic() - start))
    for number, run in enumerate([without, *withs]):
        with open("cpython.%d.txt" % number, "w", encoding="utf-8") as f:
            f.write(run[1])
    if len(without[0]) < 10:
        print(without[1][-3000:])
        sys.exit("these are too few tests to say anything")
    faults = []
    for number, (variables, run) in enumerate(zip(groups, withs), 1):
        # Only the first group is held against the list: the others must be equal.
        faults += compare("group %d" % number, tests, variables, options, without, run,
                          allowed if number == 1 else {})
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


main()
