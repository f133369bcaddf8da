#include "grade.h"

int grade(int points) {
  if (points > 5) {
    return 1;
  }
  for (int step = 0; step < points; step++) {
    if (step == 4 && points > 4) {
      return 2;
    }
  }
  return positive(points) > 2;
}
