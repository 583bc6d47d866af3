// Command codecs is the smallest program with codecs: it encodes a picture and a packet, decodes them, and says so.
package main

import (
	"fmt"
	"os"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

func main() {
	for _, name := range []string{codec.OpenH264, codec.X264} {
		if err := show(codec.VideoOptions{Codec: control.H264, Encoder: name}); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
	if err := show(codec.VideoOptions{Codec: control.VP8}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := speak(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// show passes one grey picture through an encoder and the decoder.
func show(o codec.VideoOptions) error {
	o.Width, o.Height, o.Rate, o.Bitrate = 320, 180, 30, 500_000
	e, err := codec.NewVideoEncoder(o)
	if err != nil {
		return err
	}
	defer e.Close()
	d, err := codec.NewVideoDecoder(o.Codec)
	if err != nil {
		return err
	}
	defer d.Close()
	f, err := picture.NewPool().Get(o.Width, o.Height)
	if err != nil {
		return err
	}
	for _, plane := range [][]byte{f.Y, f.U, f.V} {
		for i := range plane {
			plane[i] = 128
		}
	}
	data, _, err := e.Encode(nil, f, true)
	if err != nil {
		return err
	}
	got, err := d.Decode(data, 0)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s: %d × %d, grey %d\n", o.Codec, o.Encoder, got.Width, got.Height, got.Y[0])
	got.Release()
	return nil
}

// speak passes silence through Opus.
func speak() error {
	e, err := codec.NewAudioEncoder(control.Opus, codec.AudioOptions{})
	if err != nil {
		return err
	}
	defer e.Close()
	d, err := codec.NewAudioDecoder(control.Opus)
	if err != nil {
		return err
	}
	defer d.Close()
	pcm, packet := make([]int16, 960), make([]byte, codec.MaxAudioPacket)
	size, err := e.Encode(packet, pcm)
	if err != nil {
		return err
	}
	n, err := d.Decode(pcm, packet[:size])
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d samples\n", control.Opus, n)
	return nil
}
