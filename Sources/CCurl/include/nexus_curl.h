// libcurl, and what of it Swift cannot say: its options are variadic calls.
#pragma once
#include <curl/curl.h>

typedef struct {
  const char *url;
  /// "GET", "PUT" or "DELETE".
  const char *method;
  /// For PUT; stays the caller's.
  const void *body;
  size_t body_bytes;
  /// Fields of the head; stays the caller's.
  const struct curl_slist *fields;
  /// NULL: none.
  const char *user;
  const char *password;
  /// A file with certificates to trust instead of the system's. NULL: the system's.
  const char *ca_file;
  /// Only TLS is spoken.
  int is_secure;
  long timeout_ms;
  /// Get the lines of the head and pieces of the body; answer how many bytes they took, and fewer to end it all.
  size_t (*on_field)(char *, size_t, size_t, void *);
  size_t (*on_body)(char *, size_t, size_t, void *);
  void *context;
  /// CURL_ERROR_SIZE bytes, for what went wrong in words.
  char *words;
} nexus_curl_request;

/// Once per process, before anything else.
CURLcode nexus_curl_begin(void);

/// Forgets the last request and makes the handle ready for this one; connections stay open. Redirects are not followed.
/// What the request points to is to live until the transfer has ended.
CURLcode nexus_curl_prepare(CURL *handle, const nexus_curl_request *request);

/// Of the answer; 0: there was none.
long nexus_curl_status(CURL *handle);

/// Where the answer redirects to, as a whole URL; NULL if nowhere. Lives until the handle is used again.
const char *nexus_curl_redirect(CURL *handle);

/// The next transfer that has ended on this handle: true, and its result.
int nexus_curl_ended(CURLM *multi, CURLcode *result);

/// What went wrong, in the library's words.
const char *nexus_curl_words(CURLcode code);
