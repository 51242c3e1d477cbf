// CRC-16/XMODEM by carry-less multiplication: for x86-64 processors that have it (nearly all since 2010).
//
// A message of up to 16 bytes is a polynomial M of degree < 128, its CRC M * x^16 mod P, P = x^16 + x^12 + x^5 + 1.
// With M = H * x^64 + L and k = x^80 mod P, the sum V = H * k + L * x^16 (degree < 80) has the same remainder.
// Barrett's reduction takes it to 16 bits: with mu = floor(x^80 / P), the quotient is floor(floor(V / x^16) * mu /
// x^64), exactly. (Gopal et al.: "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel 2009.)
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <emmintrin.h>
#include <wmmintrin.h>

/// This processor has what `ci_crc16` needs.
static inline _Bool ci_has_crc16(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMULQDQ);
}

static inline uint64_t ci_big_endian(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return __builtin_bswap64(word);
}

__attribute__((target("pclmul"))) static inline uint32_t ci_crc16_reduce(uint64_t high, uint64_t low) {
  const __m128i constants = _mm_set_epi64x(0x11303471a041b343, 0xeb23);
  uint64_t v = 0;
  if (high != 0) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)high), constants, 0x00);
    v = (uint64_t)_mm_cvtsi128_si64(product);
    low ^= (v >> 16) | (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(product, product)) << 48;
  }
  __m128i quotient = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)low), constants, 0x10);
  uint64_t q = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(quotient, quotient)) ^ low;
  return (uint32_t)(v ^ q ^ q << 5 ^ q << 12) & 0xFFFF;
}

/// UINT32_MAX where a `{` was met and `stops_at_brace`.
__attribute__((target("pclmul"), always_inline)) static inline uint32_t ci_crc16_until_brace(
    const uint8_t *p, int64_t count, _Bool stops_at_brace) {
  const __m128i braces = _mm_set1_epi8('{');
  uint64_t high = 0, low = 0;
  // What does not fill 16 bytes comes first: zeros before a message do not change its CRC.
  int64_t head = count & 15;
  if (head >= 8) {
    low = ci_big_endian(p + head - 8);
    high = head == 8 ? 0 : ci_big_endian(p) >> (128 - 8 * head);
  } else if (head >= 4) {
    uint32_t first, last;
    memcpy(&first, p, 4);
    memcpy(&last, p + head - 4, 4);
    low = (uint64_t)__builtin_bswap32(first) << (8 * head - 32) | __builtin_bswap32(last);
  } else {
    for (int64_t i = 0; i < head; i++) low = low << 8 | p[i];
  }
  uint32_t crc = 0;
  if (head != 0) {
    __m128i bytes = _mm_set_epi64x((long long)high, (long long)low);
    if (stops_at_brace && _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, braces)) != 0) return UINT32_MAX;
    crc = ci_crc16_reduce(high, low);
  }
  for (int64_t at = head; at < count; at += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(p + at));
    if (stops_at_brace && _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, braces)) != 0) return UINT32_MAX;
    crc = ci_crc16_reduce(ci_big_endian(p + at) ^ (uint64_t)crc << 48, ci_big_endian(p + at + 8));
  }
  return crc;
}

/// The CRC of what stands between the first `{` and the next `}`, or of the whole key where there is no such pair or
/// nothing between.
__attribute__((target("pclmul"), noinline)) static uint32_t ci_crc16_tagged(const uint8_t *p, int64_t count) {
  const uint8_t *open = *p == '{' ? p : (const uint8_t *)memchr(p, '{', (size_t)count);
  const uint8_t *close = open ? (const uint8_t *)memchr(open + 1, '}', (size_t)(p + count - (open + 1))) : 0;
  if (!close || close == open + 1) return ci_crc16_until_brace(p, count, 0);
  return ci_crc16_until_brace(open + 1, close - (open + 1), 0);
}

/// The CRC that decides a key's slot.
__attribute__((target("pclmul"))) static inline uint16_t ci_crc16_key(const void *key, int64_t count) {
  uint32_t crc = ci_crc16_until_brace((const uint8_t *)key, count, 1);
  return (uint16_t)(crc == UINT32_MAX ? ci_crc16_tagged((const uint8_t *)key, count) : crc);
}
#else
static inline _Bool ci_has_crc16(void) { return 0; }
/// Not to be called.
static inline uint16_t ci_crc16_key(const void *key, int64_t count) {
  (void)key, (void)count;
  __builtin_trap();
}
#endif
