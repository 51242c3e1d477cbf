// libhiredis: Redis's client library.
#pragma once
#include <hiredis/hiredis.h>

/// Has the connection refuse replies that are lists: none of the commands used here has one, and the library would make
/// room for as many elements as the other side claims before any of them has come. `functions` is written, and is to
/// live as long as the connection.
void nexus_hiredis_refuse_lists(redisContext *context, redisReplyObjectFunctions *functions);

/// Bytes that have come and are part of no reply yet.
size_t nexus_hiredis_waiting(const redisContext *context);
