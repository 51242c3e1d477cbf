#include "nexus_hiredis.h"

static void *refuse(const redisReadTask *task, int elements) {
  (void)task;
  (void)elements;
  return NULL;
}

void nexus_hiredis_refuse_lists(redisContext *context, redisReplyObjectFunctions *functions) {
  *functions = *context->reader->fn;
  functions->createArray = refuse;
  context->reader->fn = functions;
}

size_t nexus_hiredis_waiting(const redisContext *context) { return context->reader->len - context->reader->pos; }
