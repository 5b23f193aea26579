// The one way in to Node-API: every binding file includes this instead of napi.h, so that the settings agree.
#pragma once

// At teardown JavaScript can't run any more; a call that finds that out must return, not terminate the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>
