package fat

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestAVolumeInAPartitionOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const start = 1 << 20
	if err := os.Truncate(path, testSize+2*start); err != nil {
		t.Fatal(err)
	}
	dev, err := OpenDevice(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	part, err := NewPartition(dev, start, testSize)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Format(part, FormatOptions{PartitionStart: start / sectorSize})
	if err != nil {
		t.Fatal(err)
	}
	want := content(1, 1<<20)
	verified := false
	err = v.Create(context.Background(), "EFI/Linux/a.efi", bytes.NewReader(want), int64(len(want)), CreateOptions{
		Verify: func(f *File) error {
			got := make([]byte, f.Size())
			_, err := f.ReadAt(got, 0)
			verified = bytes.Equal(got, want)
			return err
		},
	})
	if err != nil || !verified {
		t.Fatalf("create with read-back: want the same bytes, got %v, %v", verified, err)
	}
	edge := make([]byte, start)
	for _, at := range []int64{0, start + testSize} {
		if _, err := dev.ReadAt(edge, at); err != nil || !isZero(edge) {
			t.Errorf("the disk outside of the partition, at %d: want zeros, got others, %v", at, err)
		}
	}
	if _, err := part.WriteAt(make([]byte, 512), testSize); err == nil {
		t.Error("a write behind the partition: want an error, got none")
	}
	if _, err := NewPartition(dev, start, testSize+2*start); err == nil {
		t.Error("a partition larger than its disk: want an error, got none")
	}
}

// BenchmarkCreate writes and reads back an image of 60 MiB, as an upgrade does, on a file of 1 GiB.
func BenchmarkCreate(b *testing.B) {
	path := filepath.Join(b.TempDir(), "esp.img")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		b.Fatal(err)
	}
	dev, err := OpenDevice(path, true)
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	v, err := Format(dev, FormatOptions{})
	if err != nil {
		b.Fatal(err)
	}
	const size = 60 << 20
	b.SetBytes(size)
	for b.Loop() {
		if err := v.Create(context.Background(), "image", zeros{}, size, CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		if _, err := v.ReadFile("image", size); err != nil {
			b.Fatal(err)
		}
		if err := v.Remove("image"); err != nil {
			b.Fatal(err)
		}
	}
}
