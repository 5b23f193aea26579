// The life of each kind of operation, in steps that runTask strings together (operations.cc).
#pragma once

#include <memory>

#include "core.h"

namespace kvo {

// Whole operations without slices.
Answer checkExists(Context& context, Batch& batch, uint32_t index);
Answer probeDirectory(Context& context, Batch& batch, uint32_t index);

// Opens and measures. True: slices are to be moved. False: `answer` is the operation's.
bool beginLoad(Context& context, Batch& batch, uint32_t index, Answer& answer);
Status loadSlice(Context& context, Batch& batch, uint32_t index, uint32_t slice);

// Makes the temporary file, unless the chunk is there already.
bool beginStore(Context& context, Batch& batch, uint32_t index, Answer& answer);
Status storeSlice(Context& context, Batch& batch, uint32_t index, uint32_t slice);
// Header, sizes, publishing; on failure of any step, or of a slice before, the temporary file is removed.
Answer finishStore(Context& context, Batch& batch, uint32_t index);

// How many slices, and how large: whole sum blocks each.
void planSlices(const Core& core, Operation& op);

// What a failed operation answers.
Answer answerOfFailure(const Operation& op);

inline Answer failed(Status status) { return {Outcome::kFailed, status.error, 0, Via::kNothing, status.step}; }

}  // namespace kvo
