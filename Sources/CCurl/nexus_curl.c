#include "nexus_curl.h"

#include <string.h>

CURLcode nexus_curl_begin(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

CURLcode nexus_curl_prepare(CURL *handle, const nexus_curl_request *request) {
  CURLcode code = CURLE_OK;
  curl_easy_reset(handle);
#define SET(option, value) \
  if (code == CURLE_OK) code = curl_easy_setopt(handle, option, value)
  SET(CURLOPT_URL, request->url);
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(CURLOPT_PROTOCOLS_STR, request->is_secure ? "https" : "http,https");
#else
  SET(CURLOPT_PROTOCOLS, (long)(request->is_secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  SET(CURLOPT_ERRORBUFFER, request->words);
  // The path stays what it is: nothing in it is taken for a way up.
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_NOPROGRESS, 1L);
  SET(CURLOPT_TIMEOUT_MS, request->timeout_ms);
  SET(CURLOPT_CONNECTTIMEOUT_MS, request->timeout_ms);
  // A proxy in the environment of the process is not meant for this.
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_HTTPHEADER, request->fields);
  SET(CURLOPT_USERAGENT, "NexusCache");
  if (request->user) {
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    SET(CURLOPT_USERNAME, request->user);
    SET(CURLOPT_PASSWORD, request->password ? request->password : "");
  }
  if (request->ca_file) SET(CURLOPT_CAINFO, request->ca_file);
  SET(CURLOPT_HEADERFUNCTION, request->on_field);
  SET(CURLOPT_HEADERDATA, request->context);
  SET(CURLOPT_WRITEFUNCTION, request->on_body);
  SET(CURLOPT_WRITEDATA, request->context);
  if (strcmp(request->method, "GET") != 0) SET(CURLOPT_CUSTOMREQUEST, request->method);
  if (strcmp(request->method, "PUT") == 0) {
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    SET(CURLOPT_POSTFIELDS, request->body_bytes ? request->body : "");
  }
#undef SET
  return code;
}

long nexus_curl_status(CURL *handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

const char *nexus_curl_redirect(CURL *handle) {
  char *url = NULL;
  curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &url);
  return url;
}

int nexus_curl_ended(CURLM *multi, CURLcode *result) {
  int left = 0;
  CURLMsg *message = curl_multi_info_read(multi, &left);
  if (!message || message->msg != CURLMSG_DONE) return 0;
  *result = message->data.result;
  return 1;
}

const char *nexus_curl_words(CURLcode code) { return curl_easy_strerror(code); }
