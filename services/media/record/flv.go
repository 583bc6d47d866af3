package record

// flvTag is the beginning of the bodies of audio and video messages (FLV E.4.2.1 and E.4.3.1).
var (
	flvKey           = [5]byte{1<<4 | 7, 1} // AVC, a key frame, shown when decoded
	flvInter         = [5]byte{2<<4 | 7, 1}
	flvVideoSequence = [5]byte{1<<4 | 7, 0} // an AVCDecoderConfigurationRecord
	flvAudio         = [2]byte{10<<4 | 3<<2 | 1<<1 | 1, 1}
	flvAudioSequence = [2]byte{10<<4 | 3<<2 | 1<<1 | 1, 0} // an AudioSpecificConfig
)

// videoSequence appends the message with the parameter sets.
func (c *chunker) videoSequence(stream, timestamp uint32, p *parameters) {
	c.begin(chunkVideo, msgVideo, stream, timestamp, len(flvVideoSequence)+len(p.record))
	c.write(flvVideoSequence[:])
	c.write(p.record)
}

// picture appends a picture, of NAL units behind lengths.
func (c *chunker) picture(stream, timestamp uint32, data []byte, key bool) {
	tag := &flvInter
	if key {
		tag = &flvKey
	}
	c.begin(chunkVideo, msgVideo, stream, timestamp, len(tag)+len(data))
	c.write(tag[:])
	c.write(data)
}

// sound appends an AAC frame.
func (c *chunker) sound(stream, timestamp uint32, frame []byte) {
	c.begin(chunkAudio, msgAudio, stream, timestamp, len(flvAudio)+len(frame))
	c.write(flvAudio[:])
	c.write(frame)
}

// preface is what comes before all pictures and sound: what the stream is, and the configuration of the sound.
func (c *chunker) preface(stream uint32, o *Options) {
	var b amf
	b.text("@setDataFrame")
	b.text("onMetaData")
	fields := []any{"encoder", "Rotunda", "videocodecid", 7.0}
	if o.Width > 0 && o.Height > 0 {
		fields = append(fields, "width", float64(o.Width), "height", float64(o.Height))
	}
	if o.AudioRate > 0 {
		fields = append(fields, "audiocodecid", 10.0, "audiosamplerate", float64(o.AudioRate), "audiosamplesize", 16.0,
			"audiochannels", float64(o.AudioChannels))
	}
	b.array(fields...)
	c.message(chunkAudio, msgData, stream, 0, b)
	if o.AudioRate > 0 {
		c.begin(chunkAudio, msgAudio, stream, 0, len(flvAudioSequence)+len(o.AudioConfig))
		c.write(flvAudioSequence[:])
		c.write(o.AudioConfig)
	}
}
