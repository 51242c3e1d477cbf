// XXH3 from Debian's libxxhash-dev, inlined. The header renames its functions by macro under
// XXH_INLINE_ALL, which hides them from Swift: hence this wrapper.
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t nexus_xxh3_64(const void *bytes, size_t count, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, count, seed);
}
