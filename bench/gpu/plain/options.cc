#include "options.h"

#include <cstdlib>
#include <map>
#include <sstream>

namespace plain {
namespace {

template <typename Value>
bool choose(const std::map<std::string, Value>& choices, const std::string& text, Value& value) {
  const auto found = choices.find(text);
  if (found == choices.end()) return false;
  value = found->second;
  return true;
}

bool readNumber(const std::string& text, size_t& value) {
  char* end = nullptr;
  value = std::strtoull(text.c_str(), &end, 10);
  return end != text.c_str() && *end == '\0';
}

}  // namespace

std::string Options::parse(const std::string& words) {
  std::istringstream stream(words);
  std::string word;
  bool reach_given = false;
  const std::map<std::string, size_t*> numbers = {
      {"files", &files}, {"depth", &depth},     {"bytes", &bytes},     {"threads", &threads}, {"slices", &slices},
      {"slice", &slice}, {"streams", &streams}, {"segment", &segment}, {"folders", &folders}, {"blocks", &blocks}};
  while (stream >> word) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      directory = word;
      continue;
    }
    const std::string name = word.substr(0, equals);
    const std::string value = word.substr(equals + 1);
    bool good = false;
    size_t number = 0;
    if (const auto found = numbers.find(name); found != numbers.end()) good = readNumber(value, *found->second);
    else if (name == "nap") good = readNumber(value, number), nap = static_cast<unsigned>(number);
    else if (name == "check") good = readNumber(value, number), check = number != 0;
    else if (name == "direct") good = readNumber(value, number), direct = number != 0;
    else if (name == "via") good = choose<Via>({{"copies", Via::kCopies}, {"cufile", Via::kCufile}}, value, via);
    else if (name == "wait")
      good = choose<Wait>({{"spin", Wait::kSpin}, {"block", Wait::kBlock}, {"nap", Wait::kNap}}, value, wait);
    else if (name == "copy")
      good = choose<Copy>({{"none", Copy::kNone}, {"each", Copy::kEach}, {"batch", Copy::kBatch}}, value, copy);
    else if (name == "reach")
      good = reach_given = choose<Reach>(
          {{"batch", Reach::kBatch}, {"staging", Reach::kStaging}, {"direct", Reach::kDirect}}, value, reach);
    if (!good) return "cannot use " + word;
  }
  if (!reach_given) reach = segment >= 65536 ? Reach::kBatch : Reach::kStaging;
  if (directory.empty()) return "no directory";
  if (files == 0 || bytes == 0 || threads == 0 || slices == 0 || streams == 0 || folders == 0 || blocks == 0 ||
      slice < 4096)
    return "files, bytes, threads, slices, streams, folders, blocks and slice must not be 0";
  if (bytes % 8 != 0 || slice % 4096 != 0) return "bytes must be a multiple of 8, and slice of 4096";
  if (via == Via::kCufile && segment != 0) return "cuFile moves a file's memory as one piece: no segment=";
  if (segment > 8192 && segment % 8192 != 0) return "segment must be at most 8192, or a multiple of it";
  if (segment != 0 && (bytes % segment != 0 || slice % segment != 0 || segment % 16 != 0))
    return "bytes and slice must be multiples of segment, and segment of 16";
  return "";
}

}  // namespace plain
