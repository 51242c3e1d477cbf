// libnghttp2: HTTP/2 without sockets.
#pragma once
#include <nghttp2/nghttp2.h>
