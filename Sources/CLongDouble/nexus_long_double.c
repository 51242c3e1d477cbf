#include "nexus_long_double.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Everything strtold reads but NaN, with nothing before and nothing after it, neither too large nor too small.
static int parse(const char *text, size_t count, long double *value) {
  char copy[NEXUS_SUM_CAPACITY];
  if (count == 0 || count >= sizeof copy || isspace((unsigned char)text[0])) return 0;
  memcpy(copy, text, count);
  copy[count] = 0;
  char *end;
  errno = 0;
  *value = strtold(copy, &end);
  if (end != copy + count || isnan(*value)) return 0;
  if (errno == ERANGE) return !isinf(*value) && *value != 0;
  return errno != EINVAL;
}

int nexus_sum_of_decimals(const char *first, size_t first_count, const char *second, size_t second_count, char *sum) {
  long double one, other;
  if (!parse(first, first_count, &one)) return NEXUS_SUM_FIRST_IS_NO_NUMBER;
  if (!parse(second, second_count, &other)) return NEXUS_SUM_SECOND_IS_NO_NUMBER;
  long double total = one + other;
  if (!isfinite(total)) return NEXUS_SUM_IS_NOT_FINITE;
  int length = snprintf(sum, NEXUS_SUM_CAPACITY, "%.17Lf", total);
  while (sum[length - 1] == '0') length--;
  if (sum[length - 1] == '.') length--;
  if (length == 2 && sum[0] == '-' && sum[1] == '0') {
    sum[0] = '0';
    length = 1;
  }
  return length;
}
