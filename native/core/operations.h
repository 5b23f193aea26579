// The life of each kind of operation, in steps that runTask strings together (operations.cc).
#pragma once

#include <memory>

#include "core.h"

namespace kvo {

// Whole operations without slices.
Answer checkExists(Context& context, Batch& batch, uint32_t index);
Answer probeDirectory(Context& context, Batch& batch, uint32_t index);

// Where the run of equal bytes begins that ends a header: what comes before is all that there is to compare.
uint16_t headerEnd(const char* header);

// How a finished operation's payload moved.
inline Via viaOf(const Operation& op) {
  if (op.gds) return Via::kGds;
  if (op.device) return op.direct ? Via::kStagedDirect : Via::kStaged;
  return op.direct ? Via::kDirect : Via::kBuffered;
}

// Counts its bytes by that.
void countMoved(Stats& stats, const Operation& op);

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

// The end of a load or store whose slices are all accounted for.
void finish(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index);

// What a failed operation answers.
Answer answerOfFailure(const Operation& op);

inline Answer failed(Status status) { return {Outcome::kFailed, status.error, 0, Via::kNothing, status.step}; }

}  // namespace kvo
