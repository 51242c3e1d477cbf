// What the C library knows of its heap and the Glibc module map does not show.
#pragma once
#include <stddef.h>

/// Bytes that the allocator set aside for the block at `block`, with what it keeps beside it. `block`: what an
/// allocation answered, such as the address of a Swift object.
size_t nexus_allocated_bytes(const void *block);
