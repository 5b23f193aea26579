// A file's registration with cuFile, which must end before the file is closed.
#pragma once

#include <memory>
#include <utility>

#include "gds.h"

namespace kvo {

class GdsFile {
 public:
  GdsFile(std::shared_ptr<Gds> gds, CuFileHandle handle) : gds_(std::move(gds)), handle_(handle) {}
  ~GdsFile() { gds_->deregisterFile(handle_); }
  GdsFile(const GdsFile&) = delete;
  GdsFile& operator=(const GdsFile&) = delete;

  Gds& gds() const { return *gds_; }
  CuFileHandle handle() const { return handle_; }

 private:
  const std::shared_ptr<Gds> gds_;
  const CuFileHandle handle_;
};

}  // namespace kvo
