// Puts the pattern on the device, and compares what is there, or in the files, with it.
#pragma once

#include "lane.h"

namespace plain {

void fillDevice(const Run& run);
// Over what a load is to bring, so that nothing passes by having been there before.
void poisonDevice(const Run& run);
bool deviceHoldsPattern(const Run& run);
bool filesHoldPattern(const Run& run);

}  // namespace plain
