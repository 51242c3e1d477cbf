#include "nexus_microhttpd.h"
