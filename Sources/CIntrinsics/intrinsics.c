#include "intrinsics.h"

#include <stdatomic.h>

_Thread_local uint32_t ci_thread_number_word;

uint32_t ci_number_thread(void) {
  static _Atomic uint32_t last;
  ci_thread_number_word = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
  return ci_thread_number_word;
}
