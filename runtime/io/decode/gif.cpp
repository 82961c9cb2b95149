// GIF through giflib: the first picture of a file, on a screen that is transparent where it is not.
#include "runtime/io/decode/format.h"

#if QAMA_WITH_GIF
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <vector>
#endif

namespace qama::io {
namespace {

bool is_gif(Bytes bytes) {
  return has_magic(bytes, "GIF87a") || has_magic(bytes, "GIF89a");
}

#if QAMA_WITH_GIF

struct Source {
  Bytes left;
};

int on_read(GifFileType* gif, GifByteType* out, int bytes) {
  Bytes& left = static_cast<Source*>(gif->UserData)->left;
  const std::size_t got = std::min(left.size(), static_cast<std::size_t>(bytes));
  std::memcpy(out, left.data(), got);
  left = left.subspan(got);
  return static_cast<int>(got);
}

class Reader {
 public:
  Reader(Bytes bytes, std::string_view name) : source_{bytes}, name_(name) {}
  ~Reader() {
    int code = 0;
    if (gif_ != nullptr) DGifCloseFile(gif_, &code);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<Image> read() {
    int code = 0;
    gif_ = DGifOpen(&source_, on_read, &code);
    if (gif_ == nullptr) return damaged(code);
    QAMA_RETURN_IF_ERROR(check_whole_size(name_, gif_->SWidth, gif_->SHeight, "a GIF image"));
    QAMA_RETURN_IF_ERROR(go_to_picture());
    const GifImageDesc& frame = gif_->Image;
    const ColorMapObject* colours = frame.ColorMap != nullptr ? frame.ColorMap : gif_->SColorMap;
    if (colours == nullptr) return bad_format(name_, "its GIF data has no palette");
    if (frame.Width < 1 || frame.Height < 1 || frame.Left + frame.Width > gif_->SWidth ||
        frame.Top + frame.Height > gif_->SHeight) {
      return bad_format(name_, "its first picture of " + std::to_string(frame.Width) + " x " +
                                   std::to_string(frame.Height) + " is not inside of its " +
                                   std::to_string(gif_->SWidth) + " x " +
                                   std::to_string(gif_->SHeight));
    }
    Image out;
    out.width = gif_->SWidth;
    out.height = gif_->SHeight;
    const bool covers = frame.Width == out.width && frame.Height == out.height;
    out.channels = !covers || transparent_ >= 0 ? 4 : 3;
    out.pixels.resize(static_cast<std::size_t>(out.width) * out.height * out.channels);
    std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
    // Four passes of an interlaced picture; else one.
    constexpr int kFirst[] = {0, 4, 2, 1};
    constexpr int kStep[] = {8, 8, 4, 2};
    for (int pass = 0; pass < (frame.Interlace ? 4 : 1); ++pass) {
      const int step = frame.Interlace ? kStep[pass] : 1;
      for (int y = frame.Interlace ? kFirst[pass] : 0; y < frame.Height; y += step) {
        if (DGifGetLine(gif_, line.data(), frame.Width) == GIF_ERROR) return damaged(gif_->Error);
        std::uint8_t* to =
            out.pixels.data() +
            (static_cast<std::size_t>(frame.Top + y) * out.width + frame.Left) * out.channels;
        for (const GifPixelType index : line) {
          if (index >= colours->ColorCount) {
            return bad_format(name_, "its row " + std::to_string(frame.Top + y) +
                                         " has a colour beyond its palette");
          }
          const GifColorType& colour = colours->Colors[index];
          to[0] = colour.Red;
          to[1] = colour.Green;
          to[2] = colour.Blue;
          if (out.channels == 4) to[3] = index == transparent_ ? 0 : 255;
          to += out.channels;
        }
      }
    }
    // The end, or the beginning of another picture: a file that is cut has neither.
    GifRecordType type{};
    if (DGifGetRecordType(gif_, &type) == GIF_ERROR) return damaged(gif_->Error);
    return out;
  }

 private:
  [[nodiscard]] Error damaged(int code) const {
    const char* reason = GifErrorString(code);
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) return no_memory(name_);
    return bad_format(name_, std::string("its GIF data is damaged (") +
                                 (reason != nullptr ? reason : "it is cut short") + ")");
  }

  /// Up to the first picture's pixels; notes the colour that is transparent.
  Status go_to_picture() {
    while (true) {
      GifRecordType type{};
      if (DGifGetRecordType(gif_, &type) == GIF_ERROR) return damaged(gif_->Error);
      if (type == TERMINATE_RECORD_TYPE) return bad_format(name_, "it is a GIF without a picture");
      if (type == IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetImageDesc(gif_) == GIF_ERROR) return damaged(gif_->Error);
        return {};
      }
      int code = 0;
      GifByteType* block = nullptr;  // its length, then its bytes
      if (DGifGetExtension(gif_, &code, &block) == GIF_ERROR) return damaged(gif_->Error);
      GraphicsControlBlock control{};
      if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent_ = control.TransparentColor;
      }
      while (block != nullptr) {
        if (DGifGetExtensionNext(gif_, &block) == GIF_ERROR) return damaged(gif_->Error);
      }
    }
  }

  Source source_;
  std::string_view name_;
  GifFileType* gif_ = nullptr;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

Result<Image> decode_gif(Bytes bytes, std::string_view name) {
  return Reader(bytes, name).read();
}

#else
constexpr decltype(ImageFormat::decode) decode_gif = nullptr;
#endif

}  // namespace

const ImageFormat gif_format{"GIF", is_gif, decode_gif};

}  // namespace qama::io
