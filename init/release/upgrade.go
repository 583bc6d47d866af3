package release

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
)

const (
	upgradeMagic = "ROTUNDA\x00"
	// signedPrefix keeps a signature of a manifest from being one of anything else that the same key signs.
	signedPrefix  = "rotunda upgrade.img manifest, format 1\n"
	maxManifest   = 64 << 10
	maxPlatforms  = 16
	upgradeFormat = 1
	product       = "rotunda"
)

// Manifest says what an upgrade.img holds.
type Manifest struct {
	// Format is 1. A change that older versions must not try to read raises it; they ignore fields that they do not know.
	Format  int    `json:"format"`
	Product string `json:"product"`
	// Version and Build are those of the image, see [Release].
	Version string `json:"version"`
	Build   string `json:"build"`
	// Platforms that the image runs on, for example vm and cms1000.
	Platforms []string  `json:"platforms"`
	Date      time.Time `json:"date"`
	Image     Image     `json:"image"`

	// offset of the image in the file.
	offset int64
}

// Image is the EFI image in an upgrade.img.
type Image struct {
	Name string `json:"name"`
	// Size in bytes.
	Size int64 `json:"size"`
	// SHA256 in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
}

// ErrUntrusted is what Verify returns if none of the keys made the signature. Check with errors.Is.
var ErrUntrusted = errors.New("upgrade.img is signed by a key that this machine does not trust")

// ErrTruncated is what Verify returns for a file that ends early. Check with errors.Is.
var ErrTruncated = errors.New("upgrade.img is truncated")

// Runs says whether the image runs on a platform.
func (m Manifest) Runs(platform string) bool { return slices.Contains(m.Platforms, platform) }

// Sum is the SHA-256 of the image.
func (m Manifest) Sum() (sum [sha256.Size]byte) {
	// Verify has checked the length and the digits.
	if b, err := hex.DecodeString(m.Image.SHA256); err == nil {
		copy(sum[:], b)
	}
	return sum
}

// Content is the image in the file that was verified.
func (m Manifest) Content(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, m.offset, m.Image.Size)
}

var (
	imageNamePattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$`)
	sumPattern       = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// validate looks at every field that is used or printed later, although the key's owner vouches for them.
func (m Manifest) validate() error {
	switch {
	case m.Format != upgradeFormat:
		return fmt.Errorf("upgrade.img has format %d, this version reads format %d", m.Format, upgradeFormat)
	case m.Product != product:
		return fmt.Errorf("upgrade.img is for %.32q, not for %q", m.Product, product)
	case !textPattern.MatchString(m.Version) || !textPattern.MatchString(m.Build):
		return fmt.Errorf("upgrade.img has version %.64q, build %.64q", m.Version, m.Build)
	case len(m.Platforms) == 0 || len(m.Platforms) > maxPlatforms:
		return fmt.Errorf("upgrade.img is for %d platforms, want 1 to %d", len(m.Platforms), maxPlatforms)
	case !imageNamePattern.MatchString(m.Image.Name):
		return fmt.Errorf("upgrade.img names its image %.64q", m.Image.Name)
	case m.Image.Size <= 0 || m.Image.Size > MaxImage:
		return fmt.Errorf("upgrade.img promises an image of %d bytes, want 1 to %d", m.Image.Size, MaxImage)
	case !sumPattern.MatchString(m.Image.SHA256):
		return fmt.Errorf("upgrade.img has SHA-256 %.70q", m.Image.SHA256)
	}
	for _, p := range m.Platforms {
		if !textPattern.MatchString(p) {
			return fmt.Errorf("upgrade.img is for platform %.64q", p)
		}
	}
	return nil
}

// Verify checks a file of size bytes from its first byte to its last: form, signature by one of the keys, size, and the
// hash of the image. It does not look at the platform (see Runs) or into the image (see ReadRelease). Its errors are
// sentences about upgrade.img, to be shown as they are.
func Verify(r io.ReaderAt, size int64, keys []ed25519.PublicKey) (Manifest, error) {
	var m Manifest
	const headerSize = int64(len(upgradeMagic) + 4)
	header := make([]byte, headerSize)
	if n, err := r.ReadAt(header[:min(max(size, 0), headerSize)], 0); err != nil && !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("read upgrade.img at byte %d: %w", n, err)
	}
	if string(header[:len(upgradeMagic)]) != upgradeMagic {
		return m, errors.New("upgrade.img is not an upgrade file of Rotunda")
	}
	length := int64(binary.BigEndian.Uint32(header[len(upgradeMagic):]))
	switch {
	case size < headerSize:
		return m, fmt.Errorf("%w: it ends after %d bytes, within its header", ErrTruncated, size)
	case length == 0 || length > maxManifest:
		return m, fmt.Errorf("upgrade.img has a manifest of %d bytes, want 1 to %d", length, maxManifest)
	case size < headerSize+length+ed25519.SignatureSize:
		return m, fmt.Errorf("%w: it ends after %d bytes, within its manifest", ErrTruncated, size)
	}
	signed := make([]byte, length+ed25519.SignatureSize)
	if _, err := r.ReadAt(signed, headerSize); err != nil && !(errors.Is(err, io.EOF) && headerSize+int64(len(signed)) == size) {
		return m, fmt.Errorf("read manifest of upgrade.img: %w", err)
	}
	text, signature := signed[:length], signed[length:]
	if !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool {
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, append([]byte(signedPrefix), text...), signature)
	}) {
		return m, ErrUntrusted
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest of upgrade.img: %w", err)
	}
	if err := m.validate(); err != nil {
		return Manifest{}, err
	}
	m.offset = headerSize + length + ed25519.SignatureSize
	switch have := size - m.offset; {
	case have < m.Image.Size:
		return Manifest{}, fmt.Errorf("%w: the manifest promises %d bytes of image, the file holds %d", ErrTruncated, m.Image.Size, have)
	case have > m.Image.Size:
		return Manifest{}, fmt.Errorf("upgrade.img has %d bytes too many behind the image", have-m.Image.Size)
	}
	h := sha256.New()
	if n, err := io.Copy(h, m.Content(r)); err != nil {
		return Manifest{}, fmt.Errorf("read upgrade.img: %w", err)
	} else if n != m.Image.Size {
		return Manifest{}, fmt.Errorf("%w: the manifest promises %d bytes of image, %d could be read", ErrTruncated, m.Image.Size, n)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != m.Image.SHA256 {
		return Manifest{}, fmt.Errorf("upgrade.img is damaged: the image has SHA-256 %.16s…, the manifest promises %.16s…", got, m.Image.SHA256)
	}
	return m, nil
}

// Write makes an upgrade.img of the image. It fills in format, product and the image's size and hash; the other fields of
// the manifest are the caller's. The same input gives the same bytes.
func Write(w io.Writer, m Manifest, image io.ReaderAt, size int64, key ed25519.PrivateKey) error {
	h := sha256.New()
	if n, err := io.Copy(h, io.NewSectionReader(image, 0, size)); err != nil {
		return fmt.Errorf("read image: %w", err)
	} else if n != size {
		return fmt.Errorf("read image: %d bytes of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	m.Format, m.Product = upgradeFormat, product
	m.Image.Size, m.Image.SHA256 = size, hex.EncodeToString(h.Sum(nil))
	m.Date = m.Date.UTC()
	if err := m.validate(); err != nil {
		return fmt.Errorf("write upgrade.img: %w", err)
	}
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("write upgrade.img: a key of %d bytes", len(key))
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write upgrade.img: %w", err)
	}
	if len(text) > maxManifest {
		return fmt.Errorf("write upgrade.img: a manifest of %d bytes", len(text))
	}
	head := binary.BigEndian.AppendUint32([]byte(upgradeMagic), uint32(len(text)))
	head = append(head, text...)
	head = append(head, ed25519.Sign(key, append([]byte(signedPrefix), text...))...)
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write upgrade.img: %w", err)
	}
	if _, err := io.Copy(w, io.NewSectionReader(image, 0, size)); err != nil {
		return fmt.Errorf("write upgrade.img: %w", err)
	}
	return nil
}
