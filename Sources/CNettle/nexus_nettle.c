#include "nexus_nettle.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

static uint64_t first_eight(const uint8_t *digest) {
  uint64_t value = 0;
  for (int index = 7; index >= 0; index--) value = value << 8 | digest[index];
  return value;
}

uint64_t nexus_md5_64(const void *bytes, size_t count) {
  struct md5_ctx context;
  uint8_t digest[MD5_DIGEST_SIZE];
  md5_init(&context);
  md5_update(&context, count, bytes);
  md5_digest(&context, sizeof digest, digest);
  return first_eight(digest);
}

uint64_t nexus_sha256_64(const void *bytes, size_t count) {
  struct sha256_ctx context;
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_init(&context);
  sha256_update(&context, count, bytes);
  sha256_digest(&context, sizeof digest, digest);
  return first_eight(digest);
}
