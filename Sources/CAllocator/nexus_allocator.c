#include "nexus_allocator.h"

#include <malloc.h>

size_t nexus_allocated_bytes(const void *block) {
  // A block's size is kept in the word before it.
  return malloc_usable_size((void *)block) + sizeof(size_t);
}
