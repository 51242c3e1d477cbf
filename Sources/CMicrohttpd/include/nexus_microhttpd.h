// libmicrohttpd, with shims for what is variadic.
#pragma once
#include <microhttpd.h>
