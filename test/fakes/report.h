// What the code under test did wrong, where the real libraries would corrupt memory or crash later.
//
// A violation is a line added to the file that KVO_FAKE_REPORT names, with the process's number before it; where that
// is not set it aborts, so that none passes unseen. Any thread.
#pragma once

#include <string>

namespace kvo::fake {

void violation(const std::string& what);

// The fakes were misused by a test (a fault misspelt, say): says so and aborts.
[[noreturn]] void misused(const std::string& what);

// "0x7f12…+4096"
std::string rangeText(unsigned long long address, unsigned long long bytes);

}  // namespace kvo::fake
