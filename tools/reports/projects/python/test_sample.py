"""Each way in which a test can end."""

import pytest

from sample import grade


@pytest.fixture
def breaks_after():
    yield
    raise RuntimeError("teardown broke")


@pytest.fixture
def breaks_before():
    raise RuntimeError("setup broke")


def test_passes():
    assert grade(9) == "good"


def test_fails():
    assert grade(9) == "bad", "grades & <more>"


def test_errs(breaks_before):
    pass


def test_fails_and_teardown_errs(breaks_after):
    assert False, "in the test"


def test_passes_and_teardown_errs(breaks_after):
    pass


@pytest.mark.skip(reason="not today")
def test_skipped():
    pass


@pytest.mark.xfail
def test_expected_failure():
    assert False


@pytest.mark.parametrize("number", [1, 2])
def test_numbers(number):
    assert number < 2


attempts = []


@pytest.mark.flaky(reruns=2)
def test_passes_at_its_third_attempt():
    attempts.append(1)
    assert len(attempts) > 2


@pytest.mark.flaky(reruns=1)
def test_fails_at_each_attempt():
    assert False
