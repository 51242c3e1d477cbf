// SQLite, and what of it Swift cannot say: variadic calls, and casts for "copy this".
#pragma once
#include <sqlite3.h>

/// Binds a copy of the bytes: as text, or as a blob.
int nexus_sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count, int is_text);

/// Keeps a database file that somebody prepared from harming this process: no writes to its schema's internals, no
/// functions with side effects in its views and triggers.
void nexus_sqlite_distrust(sqlite3 *database);
