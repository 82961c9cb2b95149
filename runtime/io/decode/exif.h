// The one thing that pixels need of EXIF: how the camera was held.
#pragma once

#include "runtime/io/decode/canvas.h"
#include "runtime/io/decode/format.h"

namespace qama::io {

/// The orientation that EXIF data says: a TIFF header ("II" or "MM") and its first directory, as in
/// PNG's eXIf and WebP's EXIF chunk; JPEG's APP1 has "Exif" and two zeros before it, which may
/// stay. 1 where the data says none, one that does not exist, or is damaged: nothing else of it
/// counts.
[[nodiscard]] Orientation exif_orientation(Bytes exif);

}  // namespace qama::io
