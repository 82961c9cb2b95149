"""Augmentation: geometry stays in the image, and each kind does what its name says."""
import io
import unittest

import numpy as np
import torch
from qama_export import augment

try:
    from PIL import Image
except ImportError:
    Image = None


def pictures(channels, count=64, size=28):
    """Smooth pictures with an empty frame, u8 [count,channels,size,size]."""
    torch.manual_seed(3)
    rough = torch.rand(count, channels, 5, 5) * 255
    smooth = torch.nn.functional.interpolate(rough, size=(size - 8, size - 8), mode="bilinear")
    return torch.nn.functional.pad(smooth, (4, 4, 4, 4)).round().to(torch.uint8)


class Augmentation(unittest.TestCase):
    def test_every_image_is_a_shift_or_mirror_of_its_own(self):
        torch.manual_seed(1)
        images = torch.arange(1, 37).view(1, 1, 6, 6).repeat(40, 1, 1, 1).to(torch.uint8)
        moved = augment.shift_and_mirror(images, 1, True)
        wide = torch.nn.functional.pad(images[0, 0].long(), (1, 1, 1, 1))
        allowed = {tuple(part[y:y + 6, x:x + 6].flatten().tolist())
                   for part in (wide, wide.flip(1)) for y in range(3) for x in range(3)}
        seen = {tuple(image.flatten().tolist()) for image in moved}
        self.assertLessEqual(seen, allowed)
        self.assertGreater(len(seen), 9)

    def test_each_kind_changes_some_images_and_not_their_layout(self):
        for channels in (1, 3):
            images = pictures(channels)
            for name in augment.KINDS:
                torch.manual_seed(2)
                changed = augment.apply(images, [name])
                self.assertEqual((changed.shape, changed.dtype), (images.shape, images.dtype))
                same = (changed == images).flatten(1).all(1)
                self.assertTrue(0 < same.logical_not().sum(), name)
                self.assertTrue(same.any() or name in ("affine", "stroke", "jpeg"), name)
            torch.testing.assert_close(augment.apply(images, []), images)
            odd = images[:8, :, :27, :9]
            self.assertEqual(augment.apply(odd, list(augment.KINDS)).shape, odd.shape)

    def test_noise_is_whole_levels_of_mean_zero(self):
        torch.manual_seed(2)
        grey = torch.full((400, 1, 8, 8), 128.0)
        moved = augment.noise(grey) - grey
        self.assertTrue(torch.equal(moved, moved.round()))
        self.assertLessEqual(float(moved.abs().max()), 20)
        self.assertLess(abs(float(moved.mean())), 0.2)

    def test_a_blur_keeps_a_flat_picture_and_the_sum(self):
        torch.manual_seed(2)
        flat = torch.full((8, 2, 28, 28), 77.0)
        torch.testing.assert_close(augment.blur(flat), flat)
        point = torch.zeros(8, 1, 28, 28)
        point[:, :, 14, 14] = 255
        torch.testing.assert_close(augment.blur(point).sum((1, 2, 3)), torch.full((8,), 255.0))

    def test_a_share_of_the_images_stays_as_it_was(self):
        torch.manual_seed(2)
        images = pictures(1, 400, 16)

        def changed(share):
            kept = (augment.apply(images, ["noise", "jpeg"], share) == images).flatten(1).all(1)
            return 1 - float(kept.float().mean())
        self.assertEqual(changed(0.0), 0.0)
        self.assertAlmostEqual(changed(0.5), 0.5 * changed(1.0), delta=0.08)

    @unittest.skipIf(Image is None, "needs Debian's python3-pil")
    def test_a_block_is_rounded_as_libjpeg_does(self):
        image = pictures(1, 1, 32)
        for quality, scale in ((50, 100.0), (75, 50.0), (95, 10.0)):
            file = io.BytesIO()
            Image.fromarray(image[0, 0].numpy()).save(file, "JPEG", quality=quality)
            theirs = np.asarray(Image.open(file)).astype(np.float32)
            ours = augment.rounded_blocks(image[:, 0].float() - 128, augment.LUMA,
                                          torch.tensor([scale]))[0] + 128
            # A few coefficients lie on the edge between two steps.
            self.assertLess(float(np.abs(ours.clamp(0, 255).numpy() - theirs).mean()), 0.6)


if __name__ == "__main__":
    unittest.main()
