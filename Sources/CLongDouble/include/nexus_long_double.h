// The C `long double`, which Swift can name on x86 only: sums as INCRBYFLOAT makes them, on every machine.
#pragma once
#include <stddef.h>

/// Room that a result needs at most: the 4,933 digits of the largest sum, sign, point, 17 more digits, end.
#define NEXUS_SUM_CAPACITY 5120

enum nexus_sum_failure {
  NEXUS_SUM_FIRST_IS_NO_NUMBER = -1,
  NEXUS_SUM_SECOND_IS_NO_NUMBER = -2,
  NEXUS_SUM_IS_NOT_FINITE = -3,
};

/// Adds two decimal texts in long double precision and writes the sum without exponent, with at most 17 digits after
/// the point and no trailing zeros. Answers the length, or one of `nexus_sum_failure`. Keeps nothing.
int nexus_sum_of_decimals(const char *first, size_t first_count, const char *second, size_t second_count, char *sum);
