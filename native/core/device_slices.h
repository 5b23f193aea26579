// Slices between files and device memory. Through cuFile a slice is moved when its function returns; staged, it is on
// its way, and settles later: when its stage is needed again, or when the thread has nothing else to do.
#pragma once

#include "core.h"

namespace kvo {

// Registers an operation's file with cuFile. Where that is refused, the operation is staged, or fails where GPUDirect
// Storage is required.
Status attachGds(Context& context, Operation& op);

// One slice through cuFile.
Status loadGds(Context& context, Batch& batch, uint32_t index, uint32_t slice);
Status storeGds(Context& context, Batch& batch, uint32_t index, uint32_t slice);

// What a slice of the operation needs of the thread's stages, before it is claimed: room, or for cuFile that they are
// free. What was in the way settles: other operations finish here.
Status makeRoom(Context& context, const Operation& op);
// Reads a slice into the stage and queues its copies. After success it settles later.
Status stageLoad(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice);
// Queues the copies of a slice that is written when it settles.
void stageStore(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice);
// Settles everything.
void settleStaged(Context& context);

// Accounts for a slice of an operation; the last one finishes it.
void settleSlice(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index);

// Tries cuFile on a file of a directory: which way it takes.
Answer probeGds(Context& context, Batch& batch, uint32_t index);

}  // namespace kvo
