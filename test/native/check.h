// Just enough of a test framework for a machine with nothing but a compiler.
//
//   TEST(whatMustHold) { CHECK(ready); CHECK_EQ(found, 3); }
//
// A failed check ends its test. Checks belong on the main thread. `./some_test name` runs the tests whose name holds
// that text. This header brings main().
#pragma once

#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace check {

struct Failed {};

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

// What the case at hand is, for loops over many: printed with a failure.
inline std::string& about() {
  static std::string text;
  return text;
}

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  if (!about().empty()) std::fprintf(stderr, "    in %s\n", about().c_str());
  throw Failed{};
}

template <typename Value>
std::string show(const Value& value) {
  std::ostringstream out;
  if constexpr (std::is_enum_v<Value>) out << static_cast<long long>(value);
  else if constexpr (std::is_same_v<Value, unsigned char>) out << static_cast<int>(value);
  else out << value;
  return out.str();
}

template <typename Left, typename Right>
void equal(const Left& left, const Right& right, const char* text, const char* file, int line) {
  if (left == right) return;
  fail(file, line, std::string(text) + ": " + show(left) + " is not " + show(right));
}

inline int runAll(int count, char** arguments) {
  int failed = 0;
  int ran = 0;
  for (const Test& test : tests()) {
    if (count > 1 && std::strstr(test.name, arguments[1]) == nullptr) continue;
    ++ran;
    about().clear();
    try {
      test.run();
      continue;
    } catch (const Failed&) {
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    std::fprintf(stderr, "FAILED %s\n", test.name);
    ++failed;
  }
  std::printf("%d of %d passed\n", ran - failed, ran);
  return failed == 0 && ran > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                           \
  static void name();                                        \
  static const check::Register register_##name(#name, name); \
  static void name()

#define CHECK(condition) \
  if (!(condition)) check::fail(__FILE__, __LINE__, #condition " does not hold")

#define CHECK_EQ(left, right) check::equal((left), (right), #left, __FILE__, __LINE__)

int main(int count, char** arguments) { return check::runAll(count, arguments); }
