#include "nexus_sqlite.h"

int nexus_sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count, int is_text) {
  // An empty blob from a null pointer would be NULL.
  const void *start = count ? bytes : "";
  if (is_text) return sqlite3_bind_text64(statement, index, start, count, SQLITE_TRANSIENT, SQLITE_UTF8);
  return sqlite3_bind_blob64(statement, index, start, count, SQLITE_TRANSIENT);
}

void nexus_sqlite_distrust(sqlite3 *database) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
}
