package record

import (
	"errors"
	"fmt"
)

// Options say what is recorded or pushed.
type Options struct {
	// Width and Height are the picture's size for players, who scale to it when the resolution changes; 0 takes the size of
	// the first picture.
	Width, Height int
	// AudioRate in Hz; 0 means that there is no sound.
	AudioRate     int
	AudioChannels int
	// AudioConfig is the AudioSpecificConfig of AAC-LC (ISO/IEC 14496-3, 1.6.2.1); nil makes one of rate and channels.
	AudioConfig []byte
	// KeyFrame is called when pictures are dropped for want of a key frame, once for each time that one is needed and
	// again each second that it does not come. It may be called by any goroutine, and while Video runs; it must not block.
	KeyFrame func()
}

// check completes the options.
func (o *Options) check() error {
	if o.Width < 0 || o.Height < 0 || o.Width > 0xffff || o.Height > 0xffff {
		return fmt.Errorf("picture of %d × %d", o.Width, o.Height)
	}
	if o.AudioRate == 0 {
		return nil
	}
	if o.AudioConfig == nil {
		config, err := audioConfig(o.AudioRate, o.AudioChannels)
		if err != nil {
			return err
		}
		o.AudioConfig = config
	}
	return checkAudioConfig(o.AudioConfig, o.AudioRate, o.AudioChannels)
}

// frameSamples is the length of every AAC-LC frame.
const frameSamples = 1024

// audioRates are the sampling frequencies by index (ISO/IEC 14496-3, table 1.18).
var audioRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

func audioConfig(rate, channels int) ([]byte, error) {
	if channels < 1 || channels > 2 {
		return nil, fmt.Errorf("%d audio channels: want 1 or 2", channels)
	}
	for index, r := range audioRates {
		if r == rate {
			const lowComplexity = 2
			v := lowComplexity<<11 | index<<7 | channels<<3
			return []byte{byte(v >> 8), byte(v)}, nil
		}
	}
	return nil, fmt.Errorf("audio rate %d Hz: not one of AAC's", rate)
}

func checkAudioConfig(config []byte, rate, channels int) error {
	if len(config) < 2 || len(config) > 64 {
		return fmt.Errorf("audio configuration of %d bytes", len(config))
	}
	v := int(config[0])<<8 | int(config[1])
	if object := v >> 11; object != 2 {
		return fmt.Errorf("audio object type %d: want 2, AAC-LC", object)
	}
	if v>>2&1 != 0 {
		return errors.New("audio frames of 960 samples: want 1024")
	}
	index := v >> 7 & 15
	if index >= len(audioRates) || audioRates[index] != rate {
		return fmt.Errorf("audio configuration's rate index %d is not %d Hz", index, rate)
	}
	if n := v >> 3 & 15; n != channels {
		return fmt.Errorf("audio configuration has %d channels, not %d", n, channels)
	}
	return nil
}

// Stats are the figures of a file or a push since it began.
type Stats struct {
	VideoFrames, AudioFrames uint64
	// Dropped frames, of both kinds: before the first key frame, or because the disk or the peer was too slow.
	Dropped uint64
	// Bytes written to the disk or the connection.
	Bytes uint64
}
