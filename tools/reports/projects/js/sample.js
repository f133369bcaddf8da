function grade(points) {
  if (points > 5) return "good";
  if (points < 0) {
    throw new Error("no points");
  }
  return points === 5 ? "fair" : "bad";
}

function unused() {
  return 1;
}

module.exports = { grade, unused };
