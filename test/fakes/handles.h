// Things by their handles. A handle is never given out twice, so that the use of a dead one is noticed. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "report.h"

namespace kvo::fake {

template <typename Handle, typename Thing>
class Handles {
 public:
  // `name` is for reports.
  explicit Handles(const char* name) : name_(name) {}

  Handle add(std::shared_ptr<Thing> thing) {
    const std::lock_guard lock(mutex_);
    // Never deleted: the address must stay taken.
    const auto handle = reinterpret_cast<Handle>(new char);
    alive_.emplace(handle, std::move(thing));
    return handle;
  }

  // Null where there is none such.
  std::shared_ptr<Thing> find(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto found = alive_.find(handle);
    if (found != alive_.end()) return found->second;
    if (dead_.count(handle) > 0) violation(std::string(name_) + " used after its end");
    return nullptr;
  }

  std::shared_ptr<Thing> take(Handle handle) {
    std::shared_ptr<Thing> thing = find(handle);
    const std::lock_guard lock(mutex_);
    if (alive_.erase(handle) == 0) return nullptr;
    dead_.insert(handle);
    return thing;
  }

  std::vector<std::pair<Handle, std::shared_ptr<Thing>>> all() {
    const std::lock_guard lock(mutex_);
    return {alive_.begin(), alive_.end()};
  }

 private:
  const char* const name_;
  std::mutex mutex_;
  std::map<Handle, std::shared_ptr<Thing>> alive_;
  std::set<Handle> dead_;
};

}  // namespace kvo::fake
