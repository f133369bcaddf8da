"""Prints what a tool says that it counted, from its own output and not from the reports that are its samples.

Cases of tests: each counted once. `why` tells where a report cannot say what the tool knows.
"""

import json
import re
import sys


def cases(passed, failed=0, errored=0, skipped=0, flaky=0):
    return {"passed": passed, "failed": failed, "errored": errored, "skipped": skipped, "flaky": flaky}


def load(path):
    with open(path) as file:
        return json.load(file)


def text(path):
    with open(path) as file:
        return file.read()


def number(pattern, said, default=None):
    found = re.search(pattern, said, re.MULTILINE)
    if found is None and default is None:
        sys.exit(f"counts: no {pattern!r} in what the tool said:\n{said}")
    return int(found.group(1)) if found else default


def pytest(path):
    """By test: pytest counts a test whose teardown errs a second time, and each attempt."""
    own = {kind: set(ids) for kind, ids in load(path).items()}
    failed = own["failed"]
    errored = own["error"] - failed
    skipped = (own["skipped"] | own["xfailed"]) - failed - errored
    passed = own["passed"] - failed - errored - skipped
    return {"*": cases(len(passed), len(failed), len(errored), len(skipped), len(own["rerun"] & passed))}


def jest(path):
    own = load(path)
    ends = [{one["status"] for one in suite["assertionResults"]} for suite in own["testResults"] if suite["status"] == "failed"]
    broken = [one for one in ends if "error" in one]
    hooks = [one for one in ends if "error" not in one and "failed" not in one]
    # The report shows what is still to be written as passed, and has a failed case for each suite whose hooks failed.
    passed = own["numPassedTests"] + own["numTodoTests"]
    failed = own["numFailedTests"] + len(hooks)
    return {
        "suite-errors-false.xml": cases(passed, failed, 0, own["numPendingTests"]),
        "suite-errors-true.xml": cases(passed, failed, len(broken), own["numPendingTests"]),
    }


def vitest(path):
    own = load(path)
    # The report has a failed case for each file that could not be loaded, or whose hooks failed.
    files = [one for one in own["testResults"] if one["status"] == "failed"]
    files = [one for one in files if all(case["status"] != "failed" for case in one["assertionResults"])]
    skipped = own["numPendingTests"] + own["numTodoTests"]
    return {"*": cases(own["numPassedTests"], own["numFailedTests"] + len(files), 0, skipped)}


def nextest(path):
    said = text(path)
    summary = re.search(r"Summary .*", said).group(0)
    # The report leaves skipped tests out.
    return {"*": cases(number(r"(\d+) passed", summary), number(r"(\d+) failed", summary), 0, 0, number(r"(\d+) flaky", summary))}


def gtest(path):
    said = text(path)
    passed = number(r"^\[  PASSED  \] (\d+) test", said)
    failed = number(r"^\[  FAILED  \] (\d+) test", said)
    skipped = number(r"^\[  SKIPPED \] (\d+) test", said) + number(r"YOU HAVE (\d+) DISABLED TEST", said)
    return {"*": cases(passed, failed, 0, skipped)}


def surefire(path):
    # A class that could not begin is one case, an error, in a report of its own.
    total = re.findall(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(?:, Flakes: (\d+))?$", text(path), re.MULTILINE)
    ran, failed, errored, skipped, flaky = [int(number or 0) for number in total[-1]]
    return {
        "TEST-sample.SampleTest.xml": cases(ran - failed - errored - skipped, failed, errored - 1, skipped, flaky),
        "TEST-sample.BrokenTest.xml": cases(0, 0, 1),
    }


def counted(covered, total):
    return {"covered": covered, "total": total}


def coverage_py(said, path):
    totals = load(path)["totals"]
    row = re.search(r"^TOTAL +(\d+) +(\d+) +(\d+) +(\d+) ", text(said), re.MULTILINE)
    statements, missing, branches, _ = map(int, row.groups())
    return {
        "*": {
            "lines": counted(statements - missing, statements),
            "branches": counted(totals["covered_branches"], branches),
        }
    }


def istanbul(path):
    total = load(path)["total"]
    return {"*": {what: counted(total[what]["covered"], total[what]["total"]) for what in ("lines", "branches")}}


def gcovr(path):
    own = load(path)
    return {
        "*": {
            "lines": counted(own["line_covered"], own["line_total"]),
            "branches": counted(own["branch_covered"], own["branch_total"]),
        }
    }


def severities(**counts):
    return {"suppressed": 0, "none": 0, "low": 0, "medium": 0, "high": 0, "critical": 0} | counts


def ruff(path):
    # All that ruff finds is an error to SARIF.
    return {"ruff.sarif": severities(high=len(load(path))), "clean.sarif": severities()}


def bandit(path):
    totals = load(path)["metrics"]["_totals"]
    named = {name: totals[f"SEVERITY.{name.upper()}"] for name in ("low", "medium", "high")}
    return {"*": severities(**named)}


kind, *paths = sys.argv[1:]
kinds = {"pytest": pytest, "jest": jest, "vitest": vitest, "nextest": nextest, "gtest": gtest, "coverage-py": coverage_py}
kinds |= {"surefire": surefire, "istanbul": istanbul, "gcovr": gcovr, "ruff": ruff, "bandit": bandit}
print(json.dumps(kinds[kind](*paths), indent=2))
