"""What is measured: branches of which some are never taken."""


def grade(points):
    if points > 5:
        return "good"
    if points < 0:  # pragma: no cover
        raise ValueError(points)
    for step in range(points):
        if step == 4:
            break
    return "bad"
