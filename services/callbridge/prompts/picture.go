package prompts

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the formats that are taken
	_ "image/png"
	"sync"
)

// Bounds of a picture: more than a screen shows is of no use. A progressive JPEG of 4K takes 100 MB for the moment in which it is
// decoded, so one is at a time.
const (
	maxPicture     = 4 << 20
	maxPictureArea = 3840 * 2160
	minPictureSide = 16
)

var decoding sync.Mutex

// checkPicture returns how the name of such a file ends.
func checkPicture(b []byte) (extension string, err error) {
	if len(b) > maxPicture {
		return "", tooLarge("the picture has %d bytes: at most %d are taken", len(b), maxPicture)
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(b))
	if errors.Is(err, image.ErrFormat) {
		return "", errors.New("this is neither a JPEG nor a PNG picture")
	}
	if err != nil {
		return "", fmt.Errorf("the picture cannot be read: %w", err)
	}
	if c.Width < minPictureSide || c.Height < minPictureSide || c.Width > maxPictureArea/c.Height {
		return "", fmt.Errorf("the picture is %d × %d: use 16 × 16 up to 3840 × 2160, such as 1920 × 1080", c.Width, c.Height)
	}
	decoding.Lock()
	defer decoding.Unlock()
	if _, _, err := image.Decode(bytes.NewReader(b)); err != nil {
		return "", fmt.Errorf("the picture cannot be read: %w", err)
	}
	if kind == "jpeg" {
		return ".jpg", nil
	}
	return ".png", nil
}
