// Processor instructions that Swift has no spelling for. Nothing here allocates or blocks.
#pragma once
#include <stdint.h>
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
