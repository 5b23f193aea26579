// Moves a run of bytes between an open file and memory, buffered or direct, until every byte has moved.
#pragma once

#include <sys/types.h>

#include "core.h"
#include "spans.h"
#include "status.h"

namespace kvo {

// A read that meets the file's end gives ENODATA.
Status transfer(Context& context, Direction direction, int fd, bool direct, SpanCursor cursor, off_t offset);

// The same for a file's header and what follows it, in one go where that is small and buffered.
Status readWithHeader(Context& context, int fd, bool direct, char* header, SpanCursor cursor);

}  // namespace kvo
