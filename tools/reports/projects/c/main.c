#include <stdio.h>
#include "grade.h"

int grade(int points);

int main(void) {
  if (positive(3) && grade(9) == 1) {
    puts("good");
  } else {
    puts("bad");
  }
  return 0;
}
