#include "nexus_nghttp2.h"
