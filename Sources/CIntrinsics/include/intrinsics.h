// Processor instructions that Swift has no spelling for. Nothing here allocates or blocks.
#pragma once
#include <stdint.h>

#include "crc16.h"
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

static inline void ci_prefetch_read(const void *p) { __builtin_prefetch(p, 0, 3); }
static inline void ci_prefetch_write(const void *p) { __builtin_prefetch(p, 1, 3); }

/// Bit i is set where byte i of the 16 aligned bytes at p equals tag.
static inline uint32_t ci_match16(const void *p, uint8_t tag) {
#if defined(__x86_64__)
  __m128i bytes = _mm_load_si128((const __m128i *)p);
  return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)tag)));
#else
  const uint8_t *bytes = (const uint8_t *)p;
  uint32_t mask = 0;
  for (int i = 0; i < 16; i++) mask |= (uint32_t)(bytes[i] == tag) << i;
  return mask;
#endif
}

/// Tells the processor that this is a spin-wait loop.
static inline void ci_spin_hint(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

extern _Thread_local uint32_t ci_thread_number_word;
uint32_t ci_number_thread(void);

/// The calling thread's number: from 1 on, in the order in which threads first asked.
static inline uint32_t ci_thread_number(void) {
  uint32_t number = ci_thread_number_word;
  return number != 0 ? number : ci_number_thread();
}

// A look ahead of the lock: what it reads may be stale or torn, and only ever becomes a prefetch address.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CI_UNLOCKED __attribute__((no_sanitize("thread")))
#endif
#endif
#ifndef CI_UNLOCKED
#define CI_UNLOCKED
#endif

/// Prefetches the first entry in the 64-byte bucket whose tag matches: two lines, for most entries straddle two.
static inline CI_UNLOCKED void ci_prefetch_entry(
    const void *bucket, uint8_t tag, const char *arena, uint32_t unit_shift) {
#if defined(__x86_64__)
  uint32_t mask = (uint32_t)_mm_movemask_epi8(
      _mm_cmpeq_epi8(_mm_load_si128((const __m128i *)bucket), _mm_set1_epi8((char)tag))) & 0xFFF;
#else
  uint32_t mask = ci_match16(bucket, tag) & 0xFFF;
#endif
  if (mask == 0) return;
  uint32_t handle = ((const uint32_t *)bucket)[4 + __builtin_ctz(mask)];
  const char *entry = arena + ((uint64_t)handle << unit_shift);
  __builtin_prefetch(entry, 0, 3);
  __builtin_prefetch(entry + 63, 0, 3);
}
