// A shared library found at run time, so that one binary serves machines with and without a GPU.
//
//   Library library;
//   std::string why = library.open("", {"libcuda.so.1"});       // empty when it was opened
//   why = library.bind("cuInit", functions.init, Required::kYes);
//
// A library stays loaded until the process ends: NVIDIA's have exit handlers inside.
#pragma once

#include <initializer_list>
#include <string>

namespace kvo {

class Library {
 public:
  // Opens `path` where it is not empty, else the first of `names` that the loader finds. Returns why it failed, or "".
  std::string open(const std::string& path, std::initializer_list<const char*> names);

  // Null where the library has no such symbol.
  void* find(const char* symbol) const;

  template <typename Function>
  bool bind(const char* symbol, Function*& function) const {
    function = reinterpret_cast<Function*>(find(symbol));
    return function != nullptr;
  }

  // What was opened, as the loader names its file.
  const std::string& path() const { return path_; }

 private:
  void* handle_ = nullptr;
  std::string path_;
};

}  // namespace kvo
