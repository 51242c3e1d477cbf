#include "nexus_xxhash.h"
