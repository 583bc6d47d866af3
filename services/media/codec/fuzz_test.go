package codec

import (
	"encoding/binary"
	"testing"

	"rotunda/services/media/control"
)

// vp9Key and vp9Next are two pictures of one colour, 32 × 32, by libvpx: VP9 has no encoder here.
var (
	vp9Key = []byte{
		0x82, 0x49, 0x83, 0x42, 0x00, 0x01, 0xf0, 0x01, 0xf6, 0x06, 0x38, 0x24, 0x1c, 0x18, 0x42, 0x00, 0x00, 0x20,
		0x40, 0x00, 0x22, 0xdb, 0xff, 0xfe, 0x0f, 0xa7, 0x36, 0xe1, 0x5f, 0x9d, 0x87, 0x60, 0x01, 0x73, 0x39, 0xca,
		0xdd, 0x75, 0xbb, 0xad, 0xdc, 0x5f, 0x53, 0xf2, 0xce, 0x38, 0x2d, 0xee, 0x4f, 0xff, 0xff, 0xa1, 0xe6, 0xf7,
		0xbd, 0x8d, 0xe8, 0xcb, 0xd0, 0x39, 0xdb, 0x91, 0xc5, 0xc0, 0x07, 0xe4, 0x80, 0xac, 0xc7, 0x23, 0x63, 0xa3,
		0x0f, 0x6d, 0xe9, 0x12, 0xc0, 0x0b, 0xff, 0xff, 0xff, 0xf0, 0x94, 0x3f, 0xff, 0xff, 0xf7, 0x82, 0x00,
	}
	vp9Next = []byte{0x86, 0x00, 0x40, 0x92, 0x9c, 0x28, 0x49, 0x40, 0x00, 0x03, 0x70, 0x00, 0x00, 0x43, 0x40}
)

// seedStream is a real encode: each access unit behind its length in four bytes.
func seedStream(f *testing.F, o VideoOptions) []byte {
	e := openEncoder(f, o.sized(64, 48, 30, 100_000))
	frame := newFrame(f, 64, 48)
	defer frame.Release()
	var stream []byte
	for n := range 4 {
		scene(frame, n)
		data, _ := encode(f, e, frame, n == 2)
		stream = binary.BigEndian.AppendUint32(stream, uint32(len(data)))
		stream = append(stream, data...)
	}
	return stream
}

// fuzzVideo feeds the units of stream to a decoder and reads every sample that it shows.
func fuzzVideo(t *testing.T, codec string, stream []byte) {
	d := openDecoder(t, codec)
	var sum byte
	for n := 0; len(stream) >= 4 && n < 32; n++ {
		size := int(binary.BigEndian.Uint32(stream) % 65536)
		stream = stream[4:]
		size = min(size, len(stream))
		frame, err := d.Decode(stream[:size], uint32(n))
		stream = stream[size:]
		if frame == nil {
			continue
		}
		if err != nil {
			t.Errorf("a picture comes with the error %v", err)
		}
		if frame.Width%2 != 0 || frame.Height%2 != 0 || frame.Width < 2 || frame.Height < 2 || frame.Width*frame.Height > MaxPixels {
			t.Errorf("a picture of %d × %d is shown", frame.Width, frame.Height)
		}
		for y := range frame.Height {
			for _, v := range frame.Y[y*frame.StrideY:][:frame.Width] {
				sum += v
			}
		}
		for y := range frame.Height / 2 {
			sum += frame.U[y*frame.StrideC:][:frame.Width/2][0] + frame.V[y*frame.StrideC:][:frame.Width/2][0]
		}
		frame.Release()
	}
	_ = sum
}

func FuzzDecodeH264(f *testing.F) {
	f.Add(seedStream(f, encoders["x264"]))
	sliced := encoders["openh264"]
	sliced.MaxSlice = minSlice
	f.Add(seedStream(f, sliced))
	f.Fuzz(func(t *testing.T, stream []byte) { fuzzVideo(t, control.H264, stream) })
}

func FuzzDecodeVP8(f *testing.F) {
	f.Add(seedStream(f, encoders["VP8"]))
	f.Fuzz(func(t *testing.T, stream []byte) { fuzzVideo(t, control.VP8, stream) })
}

func FuzzDecodeVP9(f *testing.F) {
	var stream []byte
	for _, data := range [][]byte{vp9Key, vp9Next} {
		stream = binary.BigEndian.AppendUint32(stream, uint32(len(data)))
		stream = append(stream, data...)
	}
	f.Add(stream)
	f.Fuzz(func(t *testing.T, stream []byte) { fuzzVideo(t, control.VP9, stream) })
}

// fuzzAudio decodes packets of up to 255 bytes, loses every fourth, and checks what comes against the room given.
func fuzzAudio(t *testing.T, codec string, stream []byte) {
	d, err := NewAudioDecoder(codec)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm := make([]int16, opusRate*maxPacketMs/1000)
	for n := 0; len(stream) > 1 && n < 64; n++ {
		size := min(int(stream[0]), len(stream)-1)
		packet := stream[1 : 1+size]
		stream = stream[1+size:]
		if n%4 == 3 {
			if _, err := d.DecodeFEC(pcm[:d.Rate()/50], packet); err != nil && len(packet) == 0 {
				t.Errorf("a lost packet without a next one gives %v", err)
			}
			if _, err := d.Conceal(pcm[:d.Rate()/50]); err != nil {
				t.Errorf("Conceal gives %v", err)
			}
		}
		if got, err := d.Decode(pcm, packet); got < 0 || got > len(pcm) || err == nil && got == 0 {
			t.Errorf("%d bytes are %d samples, %v", len(packet), got, err)
		}
	}
}

func audioSeed(f *testing.F, codec string, o AudioOptions, loss int) []byte {
	e, _ := openAudio(f, codec, o)
	if err := e.SetLoss(loss); err != nil {
		f.Fatal(err)
	}
	pcm, packet := make([]int16, e.Rate()/50), make([]byte, 255)
	var stream []byte
	for n := range 6 {
		tone(pcm, n*len(pcm), 300, e.Rate())
		size, err := e.Encode(packet, pcm)
		if err != nil {
			f.Fatal(err)
		}
		stream = append(append(stream, byte(size)), packet[:size]...)
	}
	return stream
}

func FuzzDecodeOpus(f *testing.F) {
	f.Add(audioSeed(f, control.Opus, AudioOptions{}, 0))
	f.Add(audioSeed(f, control.Opus, AudioOptions{FEC: true, Complexity: 5}, 20))
	f.Fuzz(func(t *testing.T, stream []byte) { fuzzAudio(t, control.Opus, stream) })
}

func FuzzDecodeG722(f *testing.F) {
	f.Add(audioSeed(f, control.G722, AudioOptions{}, 0))
	f.Fuzz(func(t *testing.T, stream []byte) { fuzzAudio(t, control.G722, stream) })
}

func FuzzDecodeG711(f *testing.F) {
	f.Add(audioSeed(f, control.PCMA, AudioOptions{}, 0))
	f.Fuzz(func(t *testing.T, stream []byte) {
		fuzzAudio(t, control.PCMA, stream)
		fuzzAudio(t, control.PCMU, stream)
	})
}
