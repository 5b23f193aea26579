// What a fake library shows to the loader.
#pragma once

#include <type_traits>

#include "faults.h"

#define KVO_FAKE_API extern "C" __attribute__((visibility("default")))

// NOLINTBEGIN(bugprone-macro-parentheses): these name declarations.
// The shim calls a symbol by a signature of its own: both must agree.
#define KVO_FAKE_IS(symbol, function) static_assert(std::is_same_v<decltype(&symbol), decltype(function)>)

// A symbol that dlsym does not find where the faults say that the call is absent.
#define KVO_FAKE_MAY_BE_ABSENT(symbol, call_name, implementation)        \
  extern "C" decltype(&(implementation)) kvoFakeResolve_##symbol() {     \
    return kvo::fake::isAbsent(call_name) ? nullptr : &(implementation); \
  }                                                                      \
  KVO_FAKE_API decltype(implementation) symbol __attribute__((ifunc("kvoFakeResolve_" #symbol)))
// NOLINTEND(bugprone-macro-parentheses)
