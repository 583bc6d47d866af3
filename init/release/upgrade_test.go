package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var (
	testKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	otherKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
)

func public(keys ...ed25519.PrivateKey) []ed25519.PublicKey {
	var out []ed25519.PublicKey
	for _, k := range keys {
		out = append(out, k.Public().(ed25519.PublicKey))
	}
	return out
}

func testManifest() Manifest {
	return Manifest{
		Version: "1.2.0", Build: "abc123", Platforms: []string{"vm", "cms1000"},
		Date: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Image: Image{Name: "rotunda.efi"},
	}
}

func upgradeFile(t testing.TB, image []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, testManifest(), bytes.NewReader(image), int64(len(image)), testKey); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signedFile is a file with any manifest, signed by the right key.
func signedFile(manifest string, image []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte(upgradeMagic), uint32(len(manifest)))
	out = append(out, manifest...)
	out = append(out, ed25519.Sign(testKey, []byte(signedPrefix+manifest))...)
	return append(out, image...)
}

func TestAnUpgradeFileVerifies(t *testing.T) {
	image := testImage("1.2.0", 100000)
	file := upgradeFile(t, image)
	m, err := Verify(bytes.NewReader(file), int64(len(file)), public(otherKey, testKey))
	if err != nil {
		t.Fatal(err)
	}
	if m.Version != "1.2.0" || m.Build != "abc123" || !m.Runs("vm") || !m.Runs("cms1000") || m.Runs("cms2000") {
		t.Errorf("want 1.2.0, abc123 for vm and cms1000, got %+v", m)
	}
	got := make([]byte, m.Image.Size)
	if _, err := m.Content(bytes.NewReader(file)).ReadAt(got, 0); err != nil || !bytes.Equal(got, image) {
		t.Errorf("content: want the image, got other bytes, %v", err)
	}
	if m.Sum() != sha256.Sum256(image) {
		t.Errorf("sum: want %x, got %x", sha256.Sum256(image), m.Sum())
	}
	if again := upgradeFile(t, image); !bytes.Equal(file, again) {
		t.Error("two files of the same input differ")
	}
}

func TestEveryOtherFileIsRefusedWithItsReason(t *testing.T) {
	image := testImage("1.2.0", 2000)
	good := upgradeFile(t, image)
	manifestEnd := len(good) - len(image)
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	changed := func(change func(*Manifest)) []byte {
		m := testManifest()
		m.Format, m.Product = 1, "rotunda"
		m.Image.Size, m.Image.SHA256 = int64(len(image)), fmt.Sprintf("%x", sha256.Sum256(image))
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return signedFile(string(text), image)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "upgrade.img is not an upgrade file of Rotunda"},
		{"something else", []byte("PK\x03\x04 a zip"), "upgrade.img is not an upgrade file of Rotunda"},
		{"ends in the header", good[:9], "upgrade.img is truncated: it ends after 9 bytes, within its header"},
		{"ends in the manifest", good[:100], "upgrade.img is truncated: it ends after 100 bytes, within its manifest"},
		{"ends in the image", good[:manifestEnd+1024], "upgrade.img is truncated: the manifest promises 2000 bytes of image, the file holds 1024"},
		{"goes on", append(bytes.Clone(good), 0), "upgrade.img has 1 bytes too many behind the image"},
		{"manifest changed", flip(20), "upgrade.img is signed by a key that this machine does not trust"},
		{"signature changed", flip(manifestEnd - 1), "upgrade.img is signed by a key that this machine does not trust"},
		{"image changed", flip(len(good) - 1), "upgrade.img is damaged: the image has SHA-256"},
		{"manifest too long", append([]byte(upgradeMagic), 0xFF, 0xFF, 0xFF, 0xFF), "upgrade.img has a manifest of 4294967295 bytes"},
		{"no JSON", signedFile("{", image), "read manifest of upgrade.img"},
		{"a later format", changed(func(m *Manifest) { m.Format = 2 }), "upgrade.img has format 2, this version reads format 1"},
		{"another product", changed(func(m *Manifest) { m.Product = "other" }), `upgrade.img is for "other"`},
		{"an image too large", changed(func(m *Manifest) { m.Image.Size = MaxImage + 1 }), "upgrade.img promises an image of 268435457 bytes"},
		{"an image of no bytes", changed(func(m *Manifest) { m.Image.Size = 0 }), "upgrade.img promises an image of 0 bytes"},
		{"a negative size", changed(func(m *Manifest) { m.Image.Size = math.MinInt64 }), "upgrade.img promises an image of -"},
		{"control characters", changed(func(m *Manifest) { m.Version = "1\x1b[2J" }), "upgrade.img has version"},
		{"no platform", changed(func(m *Manifest) { m.Platforms = nil }), "upgrade.img is for 0 platforms"},
		{"a path as a name", changed(func(m *Manifest) { m.Image.Name = "../x" }), "upgrade.img names its image"},
	} {
		m, err := Verify(bytes.NewReader(c.file), int64(len(c.file)), public(testKey))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.name, c.want, err)
		}
		if m.Image.Size != 0 && err != nil {
			t.Errorf("%s: want an empty manifest with the error, got %+v", c.name, m)
		}
	}
	if _, err := Verify(bytes.NewReader(good), int64(len(good)), public(otherKey)); !errors.Is(err, ErrUntrusted) {
		t.Errorf("another key: want ErrUntrusted, got %v", err)
	}
	if _, err := Verify(bytes.NewReader(good), int64(len(good)), nil); !errors.Is(err, ErrUntrusted) {
		t.Errorf("no key: want ErrUntrusted, got %v", err)
	}
	if _, err := Verify(bytes.NewReader(good[:200]), int64(len(good)), public(testKey)); err == nil {
		t.Error("a file that is shorter than its size says: want an error, got none")
	}
}

func TestASignatureOfOtherBytesIsNoSignature(t *testing.T) {
	image := testImage("1.2.0", 2000)
	good := upgradeFile(t, image)
	n := binary.BigEndian.Uint32(good[8:])
	text := good[12 : 12+n]
	// The same key, over the manifest without the prefix.
	copy(good[12+n:], ed25519.Sign(testKey, text))
	if _, err := Verify(bytes.NewReader(good), int64(len(good)), public(testKey)); !errors.Is(err, ErrUntrusted) {
		t.Errorf("want ErrUntrusted, got %v", err)
	}
}

func TestWriteRefusesWhatVerifyWould(t *testing.T) {
	m := testManifest()
	m.Platforms = nil
	if err := Write(&bytes.Buffer{}, m, strings.NewReader("x"), 1, testKey); err == nil {
		t.Error("no platform: want an error, got none")
	}
	if err := Write(&bytes.Buffer{}, testManifest(), strings.NewReader("x"), 2, testKey); err == nil {
		t.Error("an image that ends early: want an error, got none")
	}
	if err := Write(&bytes.Buffer{}, testManifest(), strings.NewReader("x"), 1, nil); err == nil {
		t.Error("no key: want an error, got none")
	}
}

// FuzzVerify changes a file and, so that what lies behind the signature is reached, may sign the manifest again.
func FuzzVerify(f *testing.F) {
	good := upgradeFile(f, testImage("1.2.0", 1000))
	n := binary.BigEndian.Uint32(good[8:])
	f.Add(good, "")
	f.Add(good[:50], "")
	f.Add([]byte{}, `{"format":1}`)
	f.Add(good[12+n+64:], string(good[12:12+n]))
	f.Add([]byte("x"), `{"format":1,"product":"rotunda","version":"1","build":"2","platforms":["vm"],"image":{"name":"a","size":9223372036854775807}}`)
	f.Fuzz(func(t *testing.T, file []byte, manifest string) {
		if manifest != "" {
			file = signedFile(manifest, file)
		}
		m, err := Verify(bytes.NewReader(file), int64(len(file)), public(testKey))
		if err != nil {
			return
		}
		if got := sha256.Sum256(file[len(file)-int(m.Image.Size):]); got != m.Sum() {
			t.Errorf("accepted an image with SHA-256 %x, want %x", got, m.Sum())
		}
	})
}
