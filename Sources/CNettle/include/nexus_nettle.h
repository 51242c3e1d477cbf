// MD5 and SHA-256 of GNU Nettle, each as one call, cut to the first eight bytes of the digest (little-endian).
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t nexus_md5_64(const void *bytes, size_t count);
uint64_t nexus_sha256_64(const void *bytes, size_t count);
